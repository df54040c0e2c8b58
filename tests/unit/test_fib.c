/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Routes against a model that is one list and looks at all of it. The random addresses are made to
 * meet: few different bits, lengths around the ends of the tree's levels.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include <omni_cursor.h>
#include <omni_fib.h>

#define LIMIT 600
#define CLUSTERS 3
#define PLACES 4

static struct omni_rcu *rcu;
static struct omni_fib *fib;

struct model {
	unsigned int n;
	struct omni_fib_entry at[LIMIT];
};

static struct model model;
static uint64_t seed;

static int setup(void **state)
{
	(void)state;
	rcu = omni_rcu_create(2);
	fib = rcu != NULL ? omni_fib_create(LIMIT, PLACES, rcu) : NULL;
	model.n = 0;
	seed = 0x9e3779b97f4a7c15;
	return fib != NULL ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	omni_fib_free(fib);
	omni_rcu_free(rcu);
	return 0;
}

static uint64_t draw(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

static struct omni_prefix prefix_of(const char *text)
{
	struct omni_prefix p;

	assert_int_equal(omni_prefix_parse(&p, text, 32, 128), 0);
	return p;
}

static omni_dest peer(uint32_t n)
{
	return omni_dest_make(OMNI_DEST_PEER, n, 1);
}

static int set(const char *text, omni_dest dest)
{
	struct omni_prefix p = prefix_of(text);

	return omni_fib_set(fib, 0, &p, dest);
}

static int del(const char *text, omni_dest dest)
{
	struct omni_prefix p = prefix_of(text);

	return omni_fib_del(fib, 0, &p, dest);
}

static omni_dest get(const char *text)
{
	struct omni_prefix p = prefix_of(text);

	return omni_fib_get(fib, 0, &p);
}

static omni_dest look_ip(uint16_t cluster, const struct omni_ip *ip)
{
	const uint8_t *v6 = ip->b;
	uint32_t v4 = omni_load_be32(ip->b + 12);
	omni_dest dest = 1;

	if (omni_ip_is_v4(ip))
		omni_fib_lookup4(fib, cluster, &v4, 1, &dest);
	else
		omni_fib_lookup6(fib, cluster, &v6, 1, &dest);
	return dest;
}

static omni_dest look(const char *text)
{
	struct omni_prefix p = prefix_of(text);

	return look_ip(0, &p.ip);
}

/* ---- One by one ---- */

static void the_longest_prefix_wins(void **state)
{
	(void)state;
	assert_int_equal(look("10.1.2.3"), OMNI_DEST_MISS);
	assert_int_equal(set("10.0.0.0/8", peer(1)), 0);
	assert_int_equal(look("10.1.2.3"), peer(1));
	assert_int_equal(look("11.1.2.3"), OMNI_DEST_MISS);
	assert_int_equal(set("10.1.2.0/24", peer(2)), 0);
	assert_int_equal(set("10.1.2.3/32", peer(3)), 0);
	assert_int_equal(look("10.1.2.3"), peer(3));
	assert_int_equal(look("10.1.2.4"), peer(2));
	assert_int_equal(look("10.1.3.4"), peer(1));
	assert_int_equal(set("0.0.0.0/0", peer(4)), 0);
	assert_int_equal(look("11.1.2.3"), peer(4));
	assert_int_equal(look("0.0.0.0"), peer(4));
	assert_int_equal(look("255.255.255.255"), peer(4));
	assert_int_equal(del("10.1.2.0/24", OMNI_DEST_MISS), 0);
	assert_int_equal(look("10.1.2.4"), peer(1));
	assert_int_equal(look("10.1.2.3"), peer(3));
	assert_int_equal(omni_fib_count(fib), 3);
}

static void families_and_clusters_do_not_meet(void **state)
{
	struct omni_prefix all4 = prefix_of("0.0.0.0/0"), all6 = prefix_of("::/0");

	(void)state;
	assert_int_equal(omni_fib_set(fib, 0, &all4, peer(1)), 0);
	assert_int_equal(look("::1"), OMNI_DEST_MISS);
	assert_int_equal(omni_fib_set(fib, 0, &all6, peer(2)), 0);
	assert_int_equal(look("::1"), peer(2));
	assert_int_equal(look("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"), peer(2));
	assert_int_equal(look("1.2.3.4"), peer(1));
	assert_int_equal(look_ip(1, &all4.ip), OMNI_DEST_MISS);
	assert_int_equal(look_ip(OMNI_FIB_CLUSTERS_MAX, &all4.ip), OMNI_DEST_MISS);
	assert_int_equal(omni_fib_set(fib, OMNI_FIB_CLUSTERS_MAX, &all4, peer(1)), -EINVAL);
	assert_int_equal(omni_fib_set(fib, 255, &all6, peer(3)), 0);
	assert_int_equal(look_ip(255, &all6.ip), peer(3));
	assert_int_equal(omni_fib_count(fib), 3);
}

static void owners_and_bad_lengths(void **state)
{
	struct omni_prefix long4 = prefix_of("10.0.0.0/8"), long6 = prefix_of("fd00::/8");

	(void)state;
	long4.len = 33;
	long6.len = 129;
	assert_int_equal(omni_fib_set(fib, 0, &long4, peer(1)), -EINVAL);
	assert_int_equal(omni_fib_set(fib, 0, &long6, peer(1)), -EINVAL);
	assert_int_equal(omni_fib_del(fib, 0, &long6, peer(1)), -ENOENT);
	assert_int_equal(omni_fib_get(fib, 0, &long4), OMNI_DEST_MISS);
	assert_int_equal(set("10.0.0.0/8", OMNI_DEST_MISS), -EINVAL);
	assert_int_equal(set("10.9.8.7/8", peer(1)), 0);
	assert_int_equal(get("10.0.0.0/8"), peer(1));
	assert_int_equal(get("10.0.0.0/9"), OMNI_DEST_MISS);
	assert_int_equal(del("10.0.0.0/8", peer(2)), -ENOENT);
	assert_int_equal(set("10.0.0.0/8", peer(2)), 0);
	assert_int_equal(omni_fib_count(fib), 1);
	assert_int_equal(del("10.0.0.0/8", peer(1)), -ENOENT);
	assert_int_equal(del("10.1.0.0/8", peer(2)), 0);
	assert_int_equal(del("10.0.0.0/8", OMNI_DEST_MISS), -ENOENT);
	assert_int_equal(omni_fib_count(fib), 0);
}

static void version_moves_with_each_change(void **state)
{
	uint32_t v = omni_fib_version(fib);

	(void)state;
	assert_int_equal(set("10.0.0.0/8", peer(1)), 0);
	assert_int_not_equal(omni_fib_version(fib), v);
	v = omni_fib_version(fib);
	assert_int_equal(set("10.0.0.0/8", peer(2)), 0);
	assert_int_not_equal(omni_fib_version(fib), v);
	v = omni_fib_version(fib);
	assert_int_equal(del("10.0.0.0/8", peer(1)), -ENOENT);
	assert_int_equal(omni_fib_version(fib), v);
	omni_fib_touch(fib);
	assert_int_not_equal(omni_fib_version(fib), v);
}

static void the_limit_holds_for_new_ones_only(void **state)
{
	struct omni_prefix p = prefix_of("10.0.0.0/32");

	(void)state;
	for (unsigned int i = 0; i < LIMIT; i++) {
		p.ip.b[14] = (uint8_t)(i >> 8);
		p.ip.b[15] = (uint8_t)i;
		assert_int_equal(omni_fib_set(fib, i % 2, &p, peer(i)), 0);
	}
	assert_int_equal(set("11.0.0.0/8", peer(1)), -ENOSPC);
	assert_int_equal(look("11.0.0.1"), OMNI_DEST_MISS);
	assert_int_equal(set("10.0.0.0/32", peer(9)), 0);
	assert_int_equal(look("10.0.0.0"), peer(9));
	assert_int_equal(omni_fib_flush(fib, 0, peer(2)), 1);
	assert_int_equal(set("11.0.0.0/8", peer(1)), 0);
	assert_int_equal(omni_fib_count(fib), LIMIT);
}

static void a_cluster_is_known_or_not(void **state)
{
	const struct omni_l3 conf = {.v4 = {10, 0, 0, 1}, .mtu = 1420, .relay = true};

	(void)state;
	assert_null(omni_fib_cluster(fib, 7));
	assert_int_equal(omni_fib_set_cluster(fib, 7, &conf), 0);
	assert_int_equal(omni_fib_cluster(fib, 7)->mtu, 1420);
	assert_true(omni_fib_cluster(fib, 7)->relay);
	assert_int_equal(omni_fib_set_cluster(fib, 7, NULL), 0);
	assert_null(omni_fib_cluster(fib, 7));
	assert_null(omni_fib_cluster(fib, OMNI_FIB_CLUSTERS_MAX));
	assert_int_equal(omni_fib_set_cluster(fib, OMNI_FIB_CLUSTERS_MAX, &conf), -EINVAL);
}

static void replacing_spares_what_stays(void **state)
{
	const struct omni_prefix keep[] = {prefix_of("10.1.9.9/16"), prefix_of("fd00::/8")};

	(void)state;
	assert_int_equal(set("10.0.0.0/8", peer(1)), 0);
	assert_int_equal(set("10.1.0.0/16", peer(1)), 0);
	assert_int_equal(set("10.2.0.0/16", peer(2)), 0);
	assert_int_equal(set("fd00::/8", peer(1)), 0);
	assert_int_equal(set("fd00::/9", peer(1)), 0);
	assert_int_equal(omni_fib_replace(fib, 0, peer(1), keep, 2), 0);
	assert_int_equal(get("10.0.0.0/8"), OMNI_DEST_MISS);
	assert_int_equal(get("fd00::/9"), OMNI_DEST_MISS);
	assert_int_equal(get("10.1.0.0/16"), peer(1));
	assert_int_equal(get("fd00::/8"), peer(1));
	assert_int_equal(get("10.2.0.0/16"), peer(2));
	assert_int_equal(omni_fib_flush(fib, 0, peer(1)), 2);
	assert_int_equal(omni_fib_count(fib), 1);
}

/* All of it, or none: whatever is in the way, and whoever had the prefixes before. */
static void replacing_is_all_or_nothing(void **state)
{
	const struct omni_prefix more[] = {prefix_of("10.1.0.0/16"), prefix_of("10.3.0.0/16"),
					   prefix_of("10.3.7.7/16"), prefix_of("10.2.0.0/16"),
					   prefix_of("fd00::/8")};
	struct omni_prefix bad = {.len = 33};
	struct omni_prefix fill[LIMIT];
	unsigned int n = 0;

	(void)state;
	bad.ip = prefix_of("10.0.0.0/8").ip;
	assert_int_equal(set("10.0.0.0/8", peer(1)), 0);
	assert_int_equal(set("10.1.0.0/16", peer(1)), 0);
	assert_int_equal(set("10.2.0.0/16", peer(2)), 0);
	for (; omni_fib_count(fib) < LIMIT; n++) {
		fill[n] = prefix_of("172.16.0.0/30");
		omni_store_be32(fill[n].ip.b + 12, 0xac100000 + 4 * n);
		assert_int_equal(omni_fib_set(fib, 0, &fill[n], peer(3)), 0);
	}
	/* Two more, one of them named twice, and one goes: too many. */
	assert_int_equal(omni_fib_replace(fib, 0, peer(1), more, 5), -ENOSPC);
	assert_int_equal(omni_fib_replace(fib, 0, peer(1), &bad, 1), -EINVAL);
	assert_int_equal(omni_fib_count(fib), LIMIT);
	assert_int_equal(get("10.0.0.0/8"), peer(1));
	assert_int_equal(get("10.1.0.0/16"), peer(1));
	assert_int_equal(get("10.2.0.0/16"), peer(2));
	assert_int_equal(get("10.3.0.0/16"), OMNI_DEST_MISS);
	assert_int_equal(get("fd00::/8"), OMNI_DEST_MISS);
	/* Without the last it fits: the table stays as full as it was. */
	assert_int_equal(omni_fib_replace(fib, 0, peer(1), more, 4), 0);
	assert_int_equal(omni_fib_count(fib), LIMIT);
	assert_int_equal(get("10.0.0.0/8"), OMNI_DEST_MISS);
	assert_int_equal(get("10.1.0.0/16"), peer(1));
	assert_int_equal(get("10.2.0.0/16"), peer(1));
	assert_int_equal(get("10.3.0.0/16"), peer(1));
	for (unsigned int i = 0; i < n; i++)
		assert_int_equal(omni_fib_get(fib, 0, &fill[i]), peer(3));
	assert_int_equal(omni_fib_replace(fib, 0, peer(1), NULL, 0), 0);
	assert_int_equal(omni_fib_count(fib), LIMIT - 3);
	assert_int_equal(omni_fib_replace(fib, OMNI_FIB_CLUSTERS_MAX, peer(1), more, 5), -EINVAL);
	assert_int_equal(omni_fib_replace(fib, OMNI_FIB_CLUSTERS_MAX, peer(1), NULL, 0), 0);
}

static void adding_is_all_or_nothing(void **state)
{
	struct omni_prefix add[LIMIT + 1];

	(void)state;
	for (unsigned int i = 0; i <= LIMIT; i++) {
		add[i] = prefix_of("10.0.0.0/30");
		omni_store_be32(add[i].ip.b + 12, 0x0a000000 + 4 * i);
	}
	assert_int_equal(set("10.0.0.0/30", peer(2)), 0);
	assert_int_equal(set("10.0.0.8/30", peer(1)), 0);
	assert_int_equal(omni_fib_add(fib, 0, peer(1), add, LIMIT + 1), -ENOSPC);
	assert_int_equal(omni_fib_count(fib), 2);
	assert_int_equal(get("10.0.0.0/30"), peer(2));
	assert_int_equal(get("10.0.0.8/30"), peer(1));
	assert_int_equal(omni_fib_add(fib, 0, peer(1), add, LIMIT), 0);
	assert_int_equal(omni_fib_count(fib), LIMIT);
	assert_int_equal(get("10.0.0.0/30"), peer(1));
}

/* Control does nothing else meanwhile. */
static void replacing_many_takes_no_time(void **state)
{
	enum {
		MANY = 20000
	};
	struct omni_fib *large = omni_fib_create(2 * MANY, 1, rcu);
	struct omni_prefix *all = calloc(2 * MANY, sizeof(*all));
	clock_t began = clock();

	(void)state;
	assert_non_null(large);
	assert_non_null(all);
	for (unsigned int i = 0; i < 2 * MANY; i++) {
		all[i] = prefix_of("10.0.0.0/32");
		omni_store_be32(all[i].ip.b + 12, 0x0a000000 + 2 * i);
	}
	assert_int_equal(omni_fib_replace(large, 0, peer(1), all, MANY), 0);
	assert_int_equal(omni_fib_replace(large, 0, peer(1), all + MANY, MANY), 0);
	assert_int_equal(omni_fib_count(large), MANY);
	assert_true(clock() - began < 3 * CLOCKS_PER_SEC);
	free(all);
	omni_fib_free(large);
}

/* ---- Adjacencies ---- */

static void places_come_back_after_the_turn(void **state)
{
	const uint8_t mac[6] = {2, 0, 0, 0, 0, 9};
	struct rte_rcu_qsbr *qsbr = omni_rcu_qsbr(rcu);
	const struct omni_adjacency *a;
	omni_dest dest[PLACES], again;

	(void)state;
	omni_rcu_join(rcu, 1);
	for (uint16_t i = 0; i < PLACES; i++) {
		dest[i] = omni_fib_adjacency_add(fib, i, mac);
		assert_int_equal(omni_dest_kind(dest[i]), OMNI_DEST_HOST);
	}
	assert_int_equal(omni_fib_adjacency_add(fib, 9, mac), OMNI_DEST_MISS);
	a = omni_fib_adjacency(fib, dest[2]);
	assert_int_equal(a->port, 2);
	omni_fib_adjacency_del(fib, dest[2]);
	omni_fib_adjacency_del(fib, dest[2]);
	assert_null(omni_fib_adjacency(fib, dest[2]));
	/* A worker may still look at it. */
	assert_int_equal(omni_fib_adjacency_add(fib, 9, mac), OMNI_DEST_MISS);
	assert_int_equal(a->port, 2);
	rte_rcu_qsbr_quiescent(qsbr, 1);
	again = omni_fib_adjacency_add(fib, 9, mac);
	assert_int_equal(omni_dest_index(again), omni_dest_index(dest[2]));
	assert_int_not_equal(omni_dest_gen(again), omni_dest_gen(dest[2]));
	assert_null(omni_fib_adjacency(fib, dest[2]));
	assert_int_equal(omni_fib_adjacency(fib, again)->port, 9);
	assert_null(omni_fib_adjacency(fib, peer(1)));
	assert_null(omni_fib_adjacency(fib, omni_dest_make(OMNI_DEST_HOST, PLACES, 1)));
	omni_rcu_leave(rcu, 1);
}

/* ---- Against the model ---- */

static bool is_v4(const struct omni_prefix *p)
{
	return omni_ip_is_v4(&p->ip);
}

static bool same_prefix(const struct omni_prefix *a, const struct omni_prefix *b)
{
	return a->len == b->len && omni_ip_equal(&a->ip, &b->ip);
}

static struct omni_fib_entry *model_find(uint16_t cluster, const struct omni_prefix *p)
{
	for (unsigned int i = 0; i < model.n; i++)
		if (model.at[i].cluster == cluster && same_prefix(&model.at[i].prefix, p))
			return &model.at[i];
	return NULL;
}

static omni_dest model_look(uint16_t cluster, const struct omni_ip *ip)
{
	const struct omni_fib_entry *best = NULL;

	for (unsigned int i = 0; i < model.n; i++) {
		const struct omni_fib_entry *e = &model.at[i];

		if (e->cluster == cluster && is_v4(&e->prefix) == omni_ip_is_v4(ip) &&
		    omni_prefix_contains(&e->prefix, ip) &&
		    (best == NULL || e->prefix.len > best->prefix.len))
			best = e;
	}
	return best != NULL ? best->dest : OMNI_DEST_MISS;
}

static void clear_host_bits(struct omni_prefix *p)
{
	unsigned int len = p->len + (is_v4(p) ? 96u : 0u);

	for (unsigned int bit = len; bit < 128; bit++)
		p->ip.b[bit / 8] &= (uint8_t) ~(0x80u >> bit % 8);
}

/* Prefixes that share most bits: only a few are drawn, near the ends of levels. */
static struct omni_prefix draw_prefix(void)
{
	static const uint8_t ends4[] = {0, 1, 2, 3, 7, 8, 9, 13, 14, 20, 24, 26, 27, 31, 32};
	static const uint8_t ends6[] = {0,  1,	2,  7,	8,  14, 32,  48,  61,  62, 63,
					64, 65, 66, 68, 69, 96, 122, 123, 127, 128};
	struct omni_prefix p = {.len = 0};
	bool v4 = draw() % 2 == 0;
	unsigned int from = v4 ? 12 : 0;

	if (v4)
		p.ip.b[10] = p.ip.b[11] = 0xff;
	else
		p.ip.b[0] = 0xfd;
	p.ip.b[from] = (uint8_t)(v4 ? 10 : 0xfd);
	for (unsigned int k = draw() % 4; k > 0; k--)
		p.ip.b[from + draw() % (16 - from)] ^= (uint8_t)(1u << draw() % 8);
	p.len = v4 ? ends4[draw() % sizeof(ends4)] : ends6[draw() % sizeof(ends6)];
	if (draw() % 8 == 0)
		p.len = (uint8_t)(draw() % (v4 ? 33 : 129));
	return p;
}

static void change_once(void)
{
	struct omni_prefix given = draw_prefix(), p = given;
	uint16_t cluster = (uint16_t)(draw() % CLUSTERS);
	omni_dest dest = peer((uint32_t)(draw() % 7) + 1);
	struct omni_fib_entry *e;
	int rc;

	clear_host_bits(&p);
	/* Often one that is there. */
	if (draw() % 3 == 0 && model.n > 0) {
		e = &model.at[draw() % model.n];
		given = p = e->prefix;
		cluster = e->cluster;
	}
	e = model_find(cluster, &p);
	assert_int_equal(omni_fib_get(fib, cluster, &given), e != NULL ? e->dest : OMNI_DEST_MISS);
	if (draw() % 2 == 0) {
		rc = omni_fib_set(fib, cluster, &given, dest);
		if (e == NULL && model.n == LIMIT) {
			assert_int_equal(rc, -ENOSPC);
			return;
		}
		assert_int_equal(rc, 0);
		if (e == NULL)
			e = &model.at[model.n++];
		*e = (struct omni_fib_entry){.cluster = cluster, .prefix = p, .dest = dest};
		return;
	}
	if (draw() % 2 == 0)
		dest = OMNI_DEST_MISS;
	rc = omni_fib_del(fib, cluster, &given, dest);
	if (e == NULL || (dest != OMNI_DEST_MISS && dest != e->dest)) {
		assert_int_equal(rc, -ENOENT);
		return;
	}
	assert_int_equal(rc, 0);
	*e = model.at[--model.n];
}

/* First and last address of a prefix, the ones beside it, and any. */
static struct omni_ip edge_of(const struct omni_prefix *p, unsigned int which)
{
	struct omni_ip ip = p->ip;
	unsigned int len = p->len + (is_v4(p) ? 96u : 0u);

	if (which == 1 || which == 3)
		for (unsigned int bit = len; bit < 128; bit++)
			ip.b[bit / 8] |= (uint8_t)(0x80u >> bit % 8);
	if (which >= 2)
		for (int i = 15; i >= (is_v4(p) ? 12 : 0); i--) {
			ip.b[i] = (uint8_t)(ip.b[i] + (which == 3 ? 1 : 255));
			if (ip.b[i] != (which == 3 ? 0 : 255))
				break;
		}
	return ip;
}

static void check_burst(uint16_t cluster)
{
	struct omni_ip ip[OMNI_FIB_BULK];
	const uint8_t *v6[OMNI_FIB_BULK];
	uint32_t v4[OMNI_FIB_BULK];
	omni_dest dest4[OMNI_FIB_BULK], dest6[OMNI_FIB_BULK];
	unsigned int n4 = 0, n6 = 0, n = (unsigned int)(draw() % OMNI_FIB_BULK) + 1;
	unsigned int at4[OMNI_FIB_BULK], at6[OMNI_FIB_BULK];

	for (unsigned int i = 0; i < n; i++) {
		struct omni_prefix p = draw_prefix();

		if (model.n > 0 && draw() % 4 != 0)
			p = model.at[draw() % model.n].prefix;
		ip[i] = i > 0 && draw() % 4 == 0 ? ip[i - 1] : edge_of(&p, draw() % 4);
		if (omni_ip_is_v4(&ip[i])) {
			at4[n4] = i;
			v4[n4++] = omni_load_be32(ip[i].b + 12);
		} else {
			at6[n6] = i;
			v6[n6++] = ip[i].b;
		}
	}
	omni_fib_lookup4(fib, cluster, v4, n4, dest4);
	omni_fib_lookup6(fib, cluster, v6, n6, dest6);
	for (unsigned int i = 0; i < n4; i++)
		assert_int_equal(dest4[i], model_look(cluster, &ip[at4[i]]));
	for (unsigned int i = 0; i < n6; i++)
		assert_int_equal(dest6[i], model_look(cluster, &ip[at6[i]]));
}

static int compare_entries(const void *a, const void *b)
{
	const struct omni_fib_entry *x = a, *y = b;
	int order;

	if (x->cluster != y->cluster)
		return x->cluster < y->cluster ? -1 : 1;
	if (is_v4(&x->prefix) != is_v4(&y->prefix))
		return is_v4(&x->prefix) ? -1 : 1;
	order = memcmp(&x->prefix.ip, &y->prefix.ip, sizeof(x->prefix.ip));
	return order != 0 ? order : (int)x->prefix.len - (int)y->prefix.len;
}

static int on_entry(const struct omni_fib_entry *entry, void *arg)
{
	unsigned int *n = arg;
	const struct omni_fib_entry *want = &model.at[*n];

	assert_true(*n < model.n);
	assert_int_equal(entry->cluster, want->cluster);
	assert_true(same_prefix(&entry->prefix, &want->prefix));
	assert_int_equal(entry->dest, want->dest);
	++*n;
	return 0;
}

static void check_walk(void)
{
	unsigned int n = 0;

	qsort(model.at, model.n, sizeof(model.at[0]), compare_entries);
	omni_fib_walk(fib, on_entry, &n);
	assert_int_equal(n, model.n);
	assert_int_equal(omni_fib_count(fib), model.n);
}

static void flush_one(void)
{
	uint16_t cluster = (uint16_t)(draw() % CLUSTERS);
	omni_dest dest = peer((uint32_t)(draw() % 7) + 1);
	unsigned int kept = 0, before = model.n;

	for (unsigned int i = 0; i < model.n; i++)
		if (model.at[i].cluster != cluster || model.at[i].dest != dest)
			model.at[kept++] = model.at[i];
	model.n = kept;
	assert_int_equal(omni_fib_flush(fib, cluster, dest), before - kept);
}

static void does_what_a_list_does(void **state)
{
	(void)state;
	for (unsigned int round = 0; round < 30000; round++) {
		change_once();
		if (round % 8 == 0)
			check_burst((uint16_t)(draw() % CLUSTERS));
		if (round % 512 == 0)
			check_walk();
		if (round % 2048 == 2047)
			flush_one();
	}
	check_walk();
	while (model.n > 0) {
		struct omni_fib_entry *e = &model.at[draw() % model.n];

		assert_int_equal(omni_fib_del(fib, e->cluster, &e->prefix, e->dest), 0);
		*e = model.at[--model.n];
		if (model.n % 16 == 0)
			check_burst((uint16_t)(draw() % CLUSTERS));
	}
	check_walk();
	/* What has been taken for that many is enough for as many again. */
	assert_true(omni_fib_bytes(fib) < 4 << 20);
}

static int stop_at_three(const struct omni_fib_entry *entry, void *arg)
{
	(void)entry;
	return ++*(unsigned int *)arg == 3;
}

static void walk_stops_where_it_is_told(void **state)
{
	unsigned int n = 0;

	(void)state;
	for (unsigned int i = 0; i < 100; i++)
		change_once();
	omni_fib_walk(fib, stop_at_three, &n);
	assert_int_equal(n, 3);
}

/* ---- Many ---- */

#define MANY 100000

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static struct omni_prefix many_prefix(uint32_t i)
{
	struct omni_prefix p = {.len = 0};

	if (i % 2 == 0) {
		p.ip = omni_ip_from_v4((uint32_t)(i * 2654435761u));
		p.len = (uint8_t)(16 + i / 2 % 17);
	} else {
		omni_store_be64(p.ip.b, (UINT64_C(0xfd) << 56) + i * UINT64_C(0x9e3779b97f4a));
		omni_store_be64(p.ip.b + 8, i * UINT64_C(0xd6e8feb86659fd93));
		p.len = i % 4 == 1 ? 128 : (uint8_t)(48 + i % 17);
	}
	clear_host_bits(&p);
	return p;
}

static void many_come_and_go_quickly(void **state)
{
	struct omni_fib *old = fib;
	double start = now_s(), took;
	size_t bytes;

	(void)state;
	fib = omni_fib_create(MANY, 1, rcu);
	assert_non_null(fib);
	for (unsigned int turn = 0; turn < 2; turn++) {
		for (uint32_t i = 0; i < MANY; i++) {
			struct omni_prefix p = many_prefix(i);

			assert_int_equal(omni_fib_set(fib, 0, &p, peer(i)), 0);
		}
		took = now_s() - start;
		if (turn == 0)
			bytes = omni_fib_bytes(fib);
		print_message("%u routes: %.0f ms, %zu KB\n", omni_fib_count(fib), took * 1e3,
			      omni_fib_bytes(fib) >> 10);
		for (uint32_t i = 0; i < MANY; i++) {
			struct omni_prefix p = many_prefix(i);
			omni_dest dest = omni_fib_get(fib, 0, &p);

			assert_int_not_equal(look_ip(0, &p.ip), OMNI_DEST_MISS);
			if (dest == OMNI_DEST_MISS)
				continue; /* drawn twice */
			assert_int_equal(omni_fib_del(fib, 0, &p, dest), 0);
		}
		assert_int_equal(omni_fib_count(fib), 0);
		start = now_s();
	}
	/* Nothing leaks from one turn to the next. */
	assert_true(omni_fib_bytes(fib) <= bytes + bytes / 4);
	assert_true(bytes < MANY * 300ul);
	omni_fib_free(fib);
	fib = old;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_longest_prefix_wins, setup, teardown),
		cmocka_unit_test_setup_teardown(families_and_clusters_do_not_meet, setup, teardown),
		cmocka_unit_test_setup_teardown(owners_and_bad_lengths, setup, teardown),
		cmocka_unit_test_setup_teardown(version_moves_with_each_change, setup, teardown),
		cmocka_unit_test_setup_teardown(the_limit_holds_for_new_ones_only, setup, teardown),
		cmocka_unit_test_setup_teardown(replacing_spares_what_stays, setup, teardown),
		cmocka_unit_test_setup_teardown(replacing_is_all_or_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(adding_is_all_or_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(replacing_many_takes_no_time, setup, teardown),
		cmocka_unit_test_setup_teardown(a_cluster_is_known_or_not, setup, teardown),
		cmocka_unit_test_setup_teardown(places_come_back_after_the_turn, setup, teardown),
		cmocka_unit_test_setup_teardown(does_what_a_list_does, setup, teardown),
		cmocka_unit_test_setup_teardown(walk_stops_where_it_is_told, setup, teardown),
		cmocka_unit_test_setup_teardown(many_come_and_go_quickly, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
