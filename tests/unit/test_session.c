/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <rte_errno.h>
#include <rte_ip.h>
#include <rte_mbuf.h>

#include <omni_cursor.h>
#include <omni_session.h>

#include "eal.h"

static const struct omni_key key_a = {.b = {1, 2, 3}}, key_b = {.b = {4, 5, 6}};

static struct omni_keypair_conf conf(uint8_t cipher)
{
	return (struct omni_keypair_conf){
		.local_id = UINT64_C(1) << 63 | 7,
		.remote_id = UINT64_C(1) << 63 | 9,
		.lanes_tx = 2,
		.lanes_rx = 2,
		.frame_max = 1518,
		.cipher = cipher,
		.rx_key = &key_a,
		.tx_key = &key_b,
	};
}

static void ids_are_unique_and_rest(void **state)
{
	enum {
		SIZE = 64
	};
	struct omni_sessions *s = omni_sessions_create(SIZE);
	uint64_t id[SIZE], again;

	(void)state;
	assert_non_null(s);
	for (unsigned int i = 0; i < SIZE; i++) {
		id[i] = omni_sessions_reserve(s);
		assert_true(id[i] >> 63);
		assert_true(omni_session_index(id[i]) < SIZE);
		for (unsigned int j = 0; j < i; j++)
			assert_int_not_equal(omni_session_index(id[i]), omni_session_index(id[j]));
	}
	assert_int_equal(omni_sessions_reserve(s), 0);
	omni_sessions_release(s, id[5]);
	omni_sessions_release(s, id[3]);
	/* Released twice, or with other random bits: nothing happens. */
	omni_sessions_release(s, id[3]);
	omni_sessions_release(s, id[4] ^ 1);
	again = omni_sessions_reserve(s);
	assert_int_equal(omni_session_index(again), omni_session_index(id[5]));
	assert_true(again != id[5]);
	again = omni_sessions_reserve(s);
	assert_int_equal(omni_session_index(again), omni_session_index(id[3]));
	assert_int_equal(omni_sessions_reserve(s), 0);
	omni_sessions_free(s);
}

static void lookup_wants_the_whole_id(void **state)
{
	struct omni_aead *aead = omni_aead_create(0);
	struct omni_sessions *s = omni_sessions_create(16);
	struct omni_keypair_conf c = conf(OMNI_CIPHER_CHACHAPOLY);
	struct omni_keypair *kp;

	(void)state;
	c.local_id = omni_sessions_reserve(s);
	kp = omni_keypair_create(aead, &c);
	assert_non_null(kp);
	assert_null(omni_sessions_lookup(s, c.local_id));
	omni_sessions_publish(s, kp);
	assert_ptr_equal(omni_sessions_lookup(s, c.local_id), kp);
	assert_null(omni_sessions_lookup(s, c.local_id ^ 1));
	assert_null(omni_sessions_lookup(s, UINT64_MAX));
	omni_sessions_release(s, c.local_id);
	assert_null(omni_sessions_lookup(s, c.local_id));
	omni_keypair_free(kp);
	omni_sessions_free(s);
	omni_aead_free(aead);
}

static void keypair_refuses_bad_lanes(void **state)
{
	struct omni_aead *aead = omni_aead_create(0);
	struct omni_keypair_conf c = conf(OMNI_CIPHER_CHACHAPOLY);

	(void)state;
	c.lanes_rx = 0;
	assert_null(omni_keypair_create(aead, &c));
	assert_int_equal(rte_errno, EINVAL);
	c.lanes_rx = OMNI_LANES_MAX + 1;
	assert_null(omni_keypair_create(aead, &c));
	omni_aead_free(aead);
}

static void path_of(struct omni_path *path, const char *local, const char *remote)
{
	static const uint8_t src[6] = {2, 0, 0, 0, 0, 1}, dst[6] = {2, 0, 0, 0, 0, 2};
	struct omni_endpoint l, r;

	memset(path, 0, sizeof(*path));
	assert_int_equal(omni_endpoint_parse(&l, local), 0);
	assert_int_equal(omni_endpoint_parse(&r, remote), 0);
	omni_path_build(path, src, dst, &l, &r);
}

static void path_knows_its_local_address(void **state)
{
	static const char *const local[] = {"192.0.2.1:51820", "[2001:db8::1]:4000"};
	static const char *const remote[] = {"192.0.2.2:51820", "[2001:db8::2]:4001"};
	struct omni_endpoint want, got;
	struct omni_path path;

	(void)state;
	for (unsigned int i = 0; i < 2; i++) {
		path_of(&path, local[i], remote[i]);
		assert_int_equal(omni_endpoint_parse(&want, local[i]), 0);
		omni_path_local(&path, &got);
		assert_true(omni_endpoint_equal(&got, &want));
		assert_int_equal(omni_endpoint_parse(&want, remote[i]), 0);
		assert_true(omni_endpoint_equal(&path.remote, &want));
	}
}

static void outer_ipv4_header_is_right(void **state)
{
	uint8_t bytes[42 + 100];
	struct rte_ipv4_hdr *ip = (void *)(bytes + 14);
	struct omni_path path;

	(void)state;
	path_of(&path, "192.0.2.1:51820", "198.51.100.255:4000");
	assert_int_equal(path.hdr_len, 42);
	for (unsigned int id = 0; id < 65536; id += 257) {
		memset(bytes, 0xee, sizeof(bytes));
		omni_path_write(&path, bytes, 100, (uint16_t)id);
		assert_int_equal(omni_load_be16(bytes + 16), 128);
		assert_int_equal(omni_load_be16(bytes + 18), id);
		assert_int_equal(omni_load_be16(bytes + 20), 0x4000);
		assert_int_equal(rte_raw_cksum(ip, sizeof(*ip)), 0xffff);
		assert_int_equal(omni_load_be16(bytes + 34), 51820);
		assert_int_equal(omni_load_be16(bytes + 36), 4000);
		assert_int_equal(omni_load_be16(bytes + 38), 108);
		assert_int_equal(omni_load_be16(bytes + 40), 0);
		assert_int_equal(bytes[42], 0xee);
	}
}

static void outer_ipv6_checksum_is_right(void **state)
{
	uint8_t bytes[62 + 101] __attribute__((aligned(8)));
	struct omni_path path;
	uint16_t want;

	(void)state;
	path_of(&path, "[2001:db8::1]:51820", "[2001:db8::2]:51821");
	assert_int_equal(path.hdr_len, 62);
	assert_int_equal(path.checksum, OMNI_CHECKSUM_OURS);
	for (unsigned int len = 0; len <= 101; len++) {
		memset(bytes, (int)len, sizeof(bytes));
		omni_path_write(&path, bytes, (uint16_t)len, 0);
		omni_path_checksum(&path, bytes, (uint16_t)len);
		want = omni_load_be16(bytes + 60);
		memset(bytes + 60, 0, 2);
		assert_int_equal(want, rte_be_to_cpu_16(rte_ipv6_udptcp_cksum((void *)(bytes + 14),
									      bytes + 54)));
	}
}

static void control_seals_on_lane_zero(void **state, uint8_t cipher)
{
	struct omni_aead *aead = omni_aead_create(0);
	struct omni_keypair_conf c = conf(cipher), back = c;
	struct omni_keypair *kp, *peer;
	struct omni_keypair_use use;
	struct rte_mempool *pool;
	struct omni_path path;
	struct rte_mbuf *m;

	(void)state;
	if (!omni_aead_has(aead, cipher)) {
		omni_aead_free(aead);
		skip();
	}
	back.rx_key = &key_b;
	back.tx_key = &key_a;
	kp = omni_keypair_create(aead, &c);
	peer = omni_keypair_create(aead, &back);
	pool = rte_pktmbuf_pool_create("seal", 63, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
	assert_non_null(kp);
	assert_non_null(peer);
	assert_non_null(pool);
	path_of(&path, "192.0.2.1:51820", "192.0.2.2:51820");
	for (uint64_t n = 0; n < 3; n++) {
		struct omni_data_hdr *h;
		struct omni_aead_op op = {0};

		m = rte_pktmbuf_alloc(pool);
		assert_int_equal(omni_keypair_seal_control(kp, aead, &path, OMNI_KIND_CONTROL,
							   "hello", 5, m),
				 0);
		assert_int_equal(rte_pktmbuf_pkt_len(m), 42 + 24 + 5 + 16);
		h = rte_pktmbuf_mtod_offset(m, void *, 42);
		assert_int_equal(omni_load_be64(h->session_id), c.remote_id);
		assert_int_equal(omni_load_be64(h->sequence), n);
		assert_int_equal(h->kind, OMNI_KIND_CONTROL);
		op.key = peer->rx_key;
		op.aad = (uint8_t *)h;
		op.aad_len = sizeof(*h);
		op.src = op.dst = (uint8_t *)(h + 1);
		op.len = 5;
		op.tag = (uint8_t *)(h + 1) + 5;
		omni_aead_op_nonce(&op, h->lane, h->sequence);
		assert_int_equal(omni_aead_open_burst(aead, &op, 1), 1);
		assert_memory_equal(h + 1, "hello", 5);
		rte_pktmbuf_free(m);
	}
	omni_keypair_use(kp, &use);
	assert_int_equal(use.tx_messages, 3);
	assert_int_equal(use.tx_blocks, 9);

	m = rte_pktmbuf_alloc(pool);
	atomic_store(&kp->marks, OMNI_KEYPAIR_NO_TX);
	assert_int_equal(omni_keypair_seal_control(kp, aead, &path, 4, NULL, 0, m), -EKEYREJECTED);
	atomic_store(&kp->marks, 0);
	kp->tx[0].blocks = OMNI_GCM_BLOCKS_STOP;
	assert_int_equal(omni_keypair_seal_control(kp, aead, &path, 4, NULL, 0, m), -EKEYREJECTED);
	rte_pktmbuf_free(m);
	assert_int_equal(rte_mempool_avail_count(pool), 63);
	rte_mempool_free(pool);
	omni_keypair_free(kp);
	omni_keypair_free(peer);
	omni_aead_free(aead);
}

static void control_seals_aesgcm(void **state)
{
	control_seals_on_lane_zero(state, OMNI_CIPHER_AESGCM);
}

static void control_seals_chachapoly(void **state)
{
	control_seals_on_lane_zero(state, OMNI_CIPHER_CHACHAPOLY);
}

/* Control's datagram of len bytes under a WireGuard key, opened; its text is padded. */
static void wireguard_datagram(struct omni_keypair *kp, struct omni_keypair *peer,
			       struct omni_aead *aead, const struct omni_path *path,
			       const uint8_t *text, size_t len, size_t want)
{
	struct rte_mempool *pool = rte_mempool_lookup("seal");
	const uint64_t counter = kp->tx[0].sequence;
	struct rte_mbuf *m = rte_pktmbuf_alloc(pool);
	const uint8_t zeros[16] = {0};
	struct omni_wg_data_hdr *h;
	struct omni_aead_op op = {0};

	assert_int_equal(omni_keypair_seal_control(kp, aead, path, OMNI_KIND_FRAME, text, len, m),
			 0);
	assert_int_equal(rte_pktmbuf_pkt_len(m), 42 + 32 + want);
	h = rte_pktmbuf_mtod_offset(m, void *, 42);
	assert_int_equal(omni_load_be32(h), 0x04000000);
	assert_int_equal(__builtin_bswap32(omni_load_be32(h->receiver)), kp->remote_id);
	assert_true(__builtin_bswap64(omni_load_be64(h->counter)) == counter);
	op.key = peer->rx_key;
	op.src = op.dst = (uint8_t *)(h + 1);
	op.len = (uint32_t)want;
	op.tag = (uint8_t *)(h + 1) + want;
	omni_aead_op_nonce(&op, zeros, h->counter);
	assert_int_equal(omni_aead_open_burst(aead, &op, 1), 1);
	assert_memory_equal(h + 1, text, len);
	assert_memory_equal((uint8_t *)(h + 1) + len, zeros, want - len);
	rte_pktmbuf_free(m);
}

static void control_seals_wireguard(void **state)
{
	struct omni_aead *aead = omni_aead_create(0);
	struct omni_keypair_conf c = conf(OMNI_CIPHER_CHACHAPOLY), back;
	struct omni_keypair *kp, *peer;
	struct rte_mempool *pool;
	uint8_t text[1500];
	struct omni_path path;
	struct rte_mbuf *m;

	(void)state;
	memset(text, 0xa5, sizeof(text));
	c.dialect = OMNI_DIALECT_WIREGUARD;
	c.local_id = 0x12345678;
	c.remote_id = 0x9abcdef0;
	assert_null(omni_keypair_create(aead, &c)); /* two lanes */
	c.lanes_tx = c.lanes_rx = 1;
	c.local_id |= UINT64_C(1) << 32;
	assert_null(omni_keypair_create(aead, &c));
	c.local_id = 0x12345678;
	c.cipher = OMNI_CIPHER_AESGCM;
	assert_null(omni_keypair_create(aead, &c));
	assert_int_equal(rte_errno, EINVAL);
	c.cipher = OMNI_CIPHER_CHACHAPOLY;
	back = c;
	back.rx_key = &key_b;
	back.tx_key = &key_a;
	kp = omni_keypair_create(aead, &c);
	peer = omni_keypair_create(aead, &back);
	pool = rte_pktmbuf_pool_create("seal", 63, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
	assert_non_null(kp);
	assert_non_null(peer);
	assert_non_null(pool);
	path_of(&path, "192.0.2.1:51820", "192.0.2.2:51820");
	path.mtu = 1280;
	for (size_t len = 0; len <= 130; len++)
		wireguard_datagram(kp, peer, aead, &path, text, len, (len + 15) / 16 * 16);
	for (size_t len = 1200; len <= 1220; len++)
		wireguard_datagram(kp, peer, aead, &path, text, len,
				   OMNI_MIN((len + 15) / 16 * 16, 1220U));
	assert_int_equal(kp->tx[0].blocks, 0);
	kp->tx[0].sequence = OMNI_WG_REJECT_AFTER_MESSAGES - 1;
	wireguard_datagram(kp, peer, aead, &path, text, 20, 32);
	m = rte_pktmbuf_alloc(pool);
	assert_int_equal(omni_keypair_seal_control(kp, aead, &path, 4, NULL, 0, m), -EKEYREJECTED);
	assert_true(kp->tx[0].sequence == OMNI_WG_REJECT_AFTER_MESSAGES);
	rte_pktmbuf_free(m);
	rte_mempool_free(pool);
	omni_keypair_free(kp);
	omni_keypair_free(peer);
	omni_aead_free(aead);
}

static void peers_get_new_generations(void **state)
{
	struct omni_path path;
	struct omni_rcu *rcu = omni_rcu_create(1);
	struct omni_peers *peers = omni_peers_create(2);
	struct omni_peer *a, *b;
	uint32_t index, generation;

	(void)state;
	a = omni_peers_add(peers, 1);
	b = omni_peers_add(peers, 1);
	assert_non_null(a);
	assert_non_null(b);
	assert_null(omni_peers_add(peers, 1));
	assert_int_equal(rte_errno, ENOSPC);
	assert_int_equal(atomic_load(&peers->count), 2);
	index = a->index;
	generation = a->generation;
	path_of(&path, "192.0.2.1:51820", "192.0.2.2:51820");
	omni_peer_set_path(a, omni_path_copy(&path, NULL), rcu);
	omni_peer_set_path(a, omni_path_copy(&path, NULL), rcu);
	omni_rcu_join(rcu, 0);
	omni_peers_remove(peers, a, rcu);
	assert_int_equal(atomic_load(&peers->count), 1);
	assert_null(omni_peers_get(peers, index));
	assert_null(omni_peers_find(peers, index, generation));
	/* Nobody else takes its place, nor is its path freed, before the worker's turn is over. */
	assert_int_equal(omni_rcu_poll(rcu), 1);
	assert_null(omni_peers_add(peers, 1));
	assert_int_equal(rte_errno, ENOSPC);
	assert_non_null(atomic_load(&a->path));
	omni_rcu_leave(rcu, 0);
	assert_int_equal(omni_rcu_poll(rcu), 0);
	a = omni_peers_add(peers, 1);
	assert_int_equal(a->index, index);
	assert_int_not_equal(a->generation, generation);
	assert_null(atomic_load(&a->path));
	assert_ptr_equal(omni_peers_find(peers, index, a->generation), a);
	assert_null(omni_peers_find(peers, index, generation));
	assert_null(omni_peers_get(peers, 2));
	omni_rcu_free(rcu);
	omni_peers_free(peers);
}

static int freed;

static void count_free(void *arg)
{
	(void)arg;
	freed++;
}

static void rcu_waits_for_the_worker(void **state)
{
	struct omni_rcu *rcu = omni_rcu_create(1);
	struct omni_rcu_node one = {0}, two = {0};

	(void)state;
	freed = 0;
	omni_rcu_join(rcu, 0);
	omni_rcu_defer(rcu, &one, count_free, NULL);
	assert_int_equal(omni_rcu_poll(rcu), 1);
	assert_int_equal(freed, 0);
	rte_rcu_qsbr_quiescent(omni_rcu_qsbr(rcu), 0);
	assert_int_equal(omni_rcu_poll(rcu), 0);
	assert_int_equal(freed, 1);
	omni_rcu_defer(rcu, &two, count_free, NULL);
	omni_rcu_leave(rcu, 0);
	assert_int_equal(omni_rcu_poll(rcu), 0);
	assert_int_equal(freed, 2);
	omni_rcu_free(rcu);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ids_are_unique_and_rest),
		cmocka_unit_test(lookup_wants_the_whole_id),
		cmocka_unit_test(keypair_refuses_bad_lanes),
		cmocka_unit_test(path_knows_its_local_address),
		cmocka_unit_test(outer_ipv4_header_is_right),
		cmocka_unit_test(outer_ipv6_checksum_is_right),
		cmocka_unit_test(control_seals_aesgcm),
		cmocka_unit_test(control_seals_chachapoly),
		cmocka_unit_test(control_seals_wireguard),
		cmocka_unit_test(peers_get_new_generations),
		cmocka_unit_test(rcu_waits_for_the_worker),
	};

	return cmocka_run_group_tests(tests, eal_setup, eal_teardown);
}
