/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_errno.h>

#include <omni_session.h>

/* WireGuard's replay window in whole cache lines. */
#define WIDE_LEN                                                                     \
	((sizeof(struct omni_replay_wide) + OMNI_CACHE_LINE - 1) / OMNI_CACHE_LINE * \
	 OMNI_CACHE_LINE)

static bool is_wireguard(const struct omni_keypair_conf *c)
{
	return c->dialect == OMNI_DIALECT_WIREGUARD;
}

/* The keypair with its lanes and room for its keys, zeroed. */
static struct omni_keypair *alloc(const struct omni_aead *aead,
				  const struct omni_keypair_conf *conf)
{
	size_t key = omni_aead_key_size(aead, conf->cipher);
	size_t wide = is_wireguard(conf) ? WIDE_LEN : 0;
	size_t tx_key = sizeof(struct omni_keypair) + conf->lanes_tx * sizeof(struct omni_lane_tx);
	size_t rx_key = tx_key + key, rx = rx_key + key;
	size_t size = rx + conf->lanes_rx * sizeof(struct omni_lane_rx) + wide;
	uint8_t *at = aligned_alloc(OMNI_CACHE_LINE, size);
	struct omni_keypair *kp = (struct omni_keypair *)(void *)at;

	if (kp == NULL)
		return NULL;
	memset(kp, 0, size);
	kp->tx_key = (struct omni_aead_key *)(void *)(at + tx_key);
	kp->rx_key = (struct omni_aead_key *)(void *)(at + rx_key);
	kp->rx = (struct omni_lane_rx *)(void *)(at + rx);
	return kp;
}

static bool conf_is_valid(const struct omni_keypair_conf *c)
{
	if (is_wireguard(c))
		return c->lanes_tx == 1 && c->lanes_rx == 1 &&
		       c->cipher == OMNI_CIPHER_CHACHAPOLY && c->local_id <= UINT32_MAX &&
		       c->remote_id <= UINT32_MAX;
	return c->lanes_tx >= 1 && c->lanes_tx <= OMNI_LANES_MAX && c->lanes_rx >= 1 &&
	       c->lanes_rx <= OMNI_LANES_MAX;
}

static int make_keys(struct omni_keypair *kp, struct omni_aead *aead,
		     const struct omni_keypair_conf *conf)
{
	int rc = omni_aead_key_init(kp->rx_key, aead, conf->cipher, conf->rx_key);

	return rc == 0 ? omni_aead_key_init(kp->tx_key, aead, conf->cipher, conf->tx_key) : rc;
}

struct omni_keypair *omni_keypair_create(struct omni_aead *aead,
					 const struct omni_keypair_conf *conf)
{
	struct omni_keypair *kp;
	int rc = -ENOMEM;

	if (!conf_is_valid(conf)) {
		rte_errno = EINVAL;
		return NULL;
	}
	kp = alloc(aead, conf);
	if (kp == NULL)
		goto fail;
	kp->local_id = conf->local_id;
	kp->remote_id = conf->remote_id;
	kp->peer = conf->peer;
	kp->peer_gen = conf->peer_gen;
	kp->cluster = conf->cluster;
	kp->lanes_tx = conf->lanes_tx;
	kp->lanes_rx = conf->lanes_rx;
	kp->frame_max = conf->frame_max;
	kp->features = conf->features;
	kp->cipher = conf->cipher;
	kp->initiator = conf->initiator;
	kp->dialect = conf->dialect != 0 ? conf->dialect : OMNI_DIALECT_OMNI;
	kp->created_ns = conf->created_ns;
	atomic_init(&kp->marks, conf->confirmed ? 0 : OMNI_KEYPAIR_UNCONFIRMED);
	rc = make_keys(kp, aead, conf);
	if (rc == 0)
		return kp;
fail:
	free(kp); /* where the first key cannot be made, there is none to wipe */
	rte_errno = -rc;
	return NULL;
}

void omni_keypair_free(void *keypair)
{
	struct omni_keypair *kp = keypair;

	if (kp == NULL)
		return;
	omni_aead_key_wipe(kp->rx_key);
	omni_aead_key_wipe(kp->tx_key);
	free(kp);
}

static uint64_t load(const uint64_t *from)
{
	return __atomic_load_n(from, __ATOMIC_RELAXED);
}

void omni_keypair_use(const struct omni_keypair *kp, struct omni_keypair_use *use)
{
	memset(use, 0, sizeof(*use));
	for (unsigned int i = 0; i < kp->lanes_tx; i++) {
		const struct omni_lane_tx *tx = &kp->tx[i];

		use->tx_messages += load(&tx->sequence);
		use->tx_blocks += load(&tx->blocks);
		use->tx_frames += load(&tx->frames);
		use->tx_bytes += load(&tx->bytes);
		use->tx_last_tsc = OMNI_MAX(use->tx_last_tsc, load(&tx->last_tsc));
		use->tx_any_tsc = OMNI_MAX(use->tx_any_tsc, load(&tx->last_any));
	}
	for (unsigned int i = 0; i < kp->lanes_rx; i++) {
		const struct omni_lane_rx *rx = &kp->rx[i];

		use->rx_frames += load(&rx->frames);
		use->rx_bytes += load(&rx->bytes);
		use->rx_last_tsc = OMNI_MAX(use->rx_last_tsc, load(&rx->last_tsc));
		use->rx_any_tsc = OMNI_MAX(use->rx_any_tsc, load(&rx->last_any));
	}
	/* WireGuard counts whole messages, and a message of any sender takes a sequence. */
	if (kp->dialect == OMNI_DIALECT_WIREGUARD) {
		use->tx_bytes += use->tx_messages * OMNI_WG_DATA_OVERHEAD;
		use->rx_bytes += use->rx_frames * OMNI_WG_DATA_OVERHEAD;
	}
}
