/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <errno.h>
#include <string.h>

#include <rte_cycles.h>
#include <rte_mbuf.h>

#include <omni_cursor.h>
#include <omni_session.h>

#define BLOCK_LEN 16
#define BLOCKS_PER_MESSAGE 2 /* beside the payload's: lengths and the tag's mask */

/* A message being made. */
struct message {
	const struct omni_path *path;
	uint8_t *at; /* the outer header */
	uint8_t *h;  /* the data header */
	size_t hdr_len, text_len;
	uint64_t sequence;
};

static bool is_wireguard(const struct omni_keypair *kp)
{
	return kp->dialect == OMNI_DIALECT_WIREGUARD;
}

/* The next sequence; false where the key may not seal. Workers may be taking some as well. */
static bool take_sequence(const struct omni_keypair *kp, struct omni_lane_tx *tx,
			  uint64_t *sequence)
{
	uint64_t next = __atomic_load_n(&tx->sequence, __ATOMIC_RELAXED);

	if ((omni_keypair_marks(kp) & OMNI_KEYPAIR_NO_TX) != 0)
		return false;
	if (is_wireguard(kp) ? !omni_lane_has_run(next, 1)
			     : next >= OMNI_MESSAGES_REKEY || tx->blocks >= OMNI_GCM_BLOCKS_STOP)
		return false;
	*sequence = omni_lane_take_run(tx, 1);
	return !is_wireguard(kp) || omni_lane_has_run(*sequence, 1);
}

static void count(const struct omni_keypair *kp, struct omni_lane_tx *tx, size_t len)
{
	if (!is_wireguard(kp))
		tx->blocks += (len + BLOCK_LEN - 1) / BLOCK_LEN + BLOCKS_PER_MESSAGE;
	__atomic_store_n(&tx->last_any, rte_rdtsc(), __ATOMIC_RELAXED);
}

/* WireGuard's, padded, but not beyond what the path carries. */
static size_t text_len(const struct omni_keypair *kp, const struct omni_path *path, size_t len)
{
	size_t padded = (len + OMNI_WG_PADDING - 1) / OMNI_WG_PADDING * OMNI_WG_PADDING;
	size_t around = path->hdr_len - OMNI_ETHER_HDR_LEN + OMNI_WG_DATA_OVERHEAD;

	if (!is_wireguard(kp))
		return len;
	return around + padded <= path->mtu ? padded : OMNI_MAX(len, path->mtu - around);
}

static void put_header(const struct message *msg, const struct omni_keypair *kp, uint8_t kind)
{
	struct omni_wg_data_hdr *wg = (struct omni_wg_data_hdr *)msg->h;
	struct omni_data_hdr *h = (struct omni_data_hdr *)msg->h;

	memset(msg->h, 0, msg->hdr_len);
	if (is_wireguard(kp)) {
		wg->type = OMNI_TYPE_WG_DATA;
		omni_store_le32(wg->receiver, (uint32_t)kp->remote_id);
		omni_store_le64(wg->counter, msg->sequence);
		return;
	}
	omni_store_be64(h->session_id, kp->remote_id);
	omni_store_be64(h->sequence, msg->sequence);
	h->kind = kind;
}

static void seal(const struct message *msg, const struct omni_keypair *kp, struct omni_aead *aead)
{
	static const uint8_t zeros[4];
	uint8_t *text = msg->h + msg->hdr_len;
	struct omni_aead_op op = {
		.key = kp->tx_key,
		.src = text,
		.dst = text,
		.tag = text + msg->text_len,
		.len = (uint32_t)msg->text_len,
	};

	if (is_wireguard(kp)) {
		omni_aead_op_nonce(&op, zeros, msg->h + offsetof(struct omni_wg_data_hdr, counter));
	} else {
		op.aad = msg->h;
		op.aad_len = OMNI_DATA_HDR_LEN;
		omni_aead_op_nonce(&op, msg->h + offsetof(struct omni_data_hdr, lane),
				   msg->h + offsetof(struct omni_data_hdr, sequence));
	}
	omni_aead_seal_burst(aead, &op, 1);
}

int omni_keypair_seal_control(struct omni_keypair *kp, struct omni_aead *aead,
			      const struct omni_path *path, uint8_t kind, const void *payload,
			      size_t len, struct rte_mbuf *m)
{
	struct message msg = {
		.path = path,
		.hdr_len = is_wireguard(kp) ? OMNI_WG_DATA_HDR_LEN : OMNI_DATA_HDR_LEN,
		.text_len = text_len(kp, path, len),
	};
	size_t datagram = msg.hdr_len + msg.text_len + OMNI_TAG_LEN;

	if (datagram + path->hdr_len > UINT16_MAX)
		return -EMSGSIZE;
	if (!take_sequence(kp, &kp->tx[0], &msg.sequence))
		return -EKEYREJECTED;
	msg.at = (uint8_t *)rte_pktmbuf_append(m, (uint16_t)(datagram + path->hdr_len));
	if (msg.at == NULL)
		return -EMSGSIZE;
	msg.h = msg.at + path->hdr_len;
	omni_path_write(path, msg.at, (uint16_t)datagram, (uint16_t)msg.sequence);
	put_header(&msg, kp, kind);
	if (len > 0)
		memcpy(msg.h + msg.hdr_len, payload, len);
	memset(msg.h + msg.hdr_len + len, 0, msg.text_len - len);
	count(kp, &kp->tx[0], len);
	seal(&msg, kp, aead);
	if (path->checksum != OMNI_CHECKSUM_NONE)
		omni_path_checksum(path, msg.at, (uint16_t)datagram);
	return 0;
}
