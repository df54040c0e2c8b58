/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <errno.h>
#include <string.h>

#include <rte_cycles.h>
#include <rte_mbuf.h>

#include <omni_cursor.h>
#include <omni_session.h>

#define BLOCK_LEN 16
#define BLOCKS_PER_MESSAGE 2 /* beside the payload's: lengths and the tag's mask */

static bool may_seal(const struct omni_keypair *kp, const struct omni_lane_tx *tx)
{
	if ((omni_keypair_marks(kp) & OMNI_KEYPAIR_NO_TX) != 0)
		return false;
	return tx->sequence < OMNI_MESSAGES_REKEY && tx->blocks < OMNI_GCM_BLOCKS_STOP;
}

static void put_header(struct omni_data_hdr *h, const struct omni_keypair *kp, uint64_t sequence,
		       uint8_t kind)
{
	memset(h, 0, sizeof(*h));
	omni_store_be64(h->session_id, kp->remote_id);
	omni_store_be64(h->sequence, sequence);
	h->kind = kind;
}

static void count(struct omni_lane_tx *tx, size_t len)
{
	tx->sequence++;
	tx->blocks += (len + BLOCK_LEN - 1) / BLOCK_LEN + BLOCKS_PER_MESSAGE;
	tx->last_any = rte_rdtsc();
}

int omni_keypair_seal_control(struct omni_keypair *kp, struct omni_aead *aead,
			      const struct omni_path *path, uint8_t kind, const void *payload,
			      size_t len, struct rte_mbuf *m)
{
	struct omni_lane_tx *tx = &kp->tx[0];
	size_t datagram = OMNI_DATA_OVERHEAD + len;
	struct omni_data_hdr *h;
	struct omni_aead_op op;
	uint8_t *at;

	if (!may_seal(kp, tx))
		return -EKEYREJECTED;
	at = datagram + path->hdr_len <= UINT16_MAX
		     ? (uint8_t *)rte_pktmbuf_append(m, (uint16_t)(datagram + path->hdr_len))
		     : NULL;
	if (at == NULL)
		return -EMSGSIZE;
	omni_path_write(path, at, (uint16_t)datagram, (uint16_t)tx->sequence);
	h = (struct omni_data_hdr *)(at + path->hdr_len);
	put_header(h, kp, tx->sequence, kind);
	if (len > 0)
		memcpy(h + 1, payload, len);
	op = (struct omni_aead_op){
		.key = kp->tx_key,
		.aad = (const uint8_t *)h,
		.src = (const uint8_t *)(h + 1),
		.dst = (uint8_t *)(h + 1),
		.tag = (uint8_t *)(h + 1) + len,
		.len = (uint32_t)len,
		.aad_len = sizeof(*h),
	};
	omni_aead_op_nonce(&op, h->lane, h->sequence);
	count(tx, len);
	omni_aead_seal_burst(aead, &op, 1);
	if (path->checksum != OMNI_CHECKSUM_NONE)
		omni_path_checksum(path, at, (uint16_t)datagram);
	return 0;
}
