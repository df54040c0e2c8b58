/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <omni_session.h>

void omni_keypair_fetch_tx(const struct omni_keypair *kp, uint16_t lane, uint32_t len)
{
	__builtin_prefetch(&kp->tx[lane], 0, 2);
	omni_aead_key_fetch(kp->tx_key, kp->cipher, len);
}

void omni_keypair_fetch_rx(const struct omni_keypair *kp, uint16_t lane, uint32_t len)
{
	if (lane < kp->lanes_rx)
		__builtin_prefetch(&kp->rx[lane], 0, 2);
	omni_aead_key_fetch(kp->rx_key, kp->cipher, len);
}
