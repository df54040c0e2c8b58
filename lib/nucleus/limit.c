/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include <omni_crypto.h>

#include "internal.h"

#define IPV6_PREFIX_LEN 7 /* bytes of a /56 */

bool rate_take(uint64_t *tat, uint64_t now_ns, uint64_t interval_ns, uint64_t burst)
{
	uint64_t next = OMNI_MAX(*tat, now_ns) + interval_ns;

	if (next - now_ns > burst * interval_ns)
		return false;
	*tat = next;
	return true;
}

void source_key(uint8_t key[OMNI_KEY_LEN], const struct omni_ip *ip)
{
	memset(key, 0, OMNI_KEY_LEN);
	memcpy(key, ip->b, omni_ip_is_v4(ip) ? sizeof(ip->b) : IPV6_PREFIX_LEN);
}

size_t source_rate_slot(const struct omni_nucleus *n, const struct omni_ip *ip)
{
	uint8_t key[OMNI_KEY_LEN];
	uint32_t hash;

	source_key(key, ip);
	omni_mac((uint8_t *)&hash, sizeof(hash), &n->hash_secret, sizeof(n->hash_secret), key,
		 sizeof(key));
	return hash % RATE_SLOTS;
}

struct owner *owner_get(struct table *t, const uint8_t key[OMNI_KEY_LEN])
{
	struct owner *o = table_find(t, key);

	if (o != NULL)
		return o;
	o = calloc(1, sizeof(*o));
	if (o == NULL)
		return NULL;
	memcpy(o->key, key, sizeof(o->key));
	if (table_insert(t, o) != 0) {
		free(o);
		return NULL;
	}
	return o;
}

void owner_put(struct table *t, struct owner *o)
{
	if (o == NULL || o->sessions > 0 || o->members > 0 || o->rooms > 0)
		return;
	table_remove(t, o);
	free(o);
}

bool is_allowed(const struct omni_nucleus *n, const struct omni_key *cluster_id)
{
	if (n->n_allow == 0)
		return true;
	for (size_t i = 0; i < n->n_allow; i++) {
		if (memcmp(&n->allow[i], cluster_id, sizeof(*cluster_id)) == 0)
			return true;
	}
	return false;
}
