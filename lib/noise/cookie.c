/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <assert.h>
#include <string.h>

#include <omni_clock.h>
#include <omni_cookie.h>
#include <omni_cursor.h>
#include <omni_secret.h>

#define LABEL_MAC1 "mac1----"
#define LABEL_COOKIE "cookie--"
#define LABEL_LEN 8

static uint64_t period(uint64_t now_ns)
{
	return now_ns / (OMNI_COOKIE_LIFE_S * OMNI_NS_PER_S);
}

static void label_key(uint8_t out[OMNI_HASH_LEN], const char *label, const struct omni_key *owner)
{
	omni_hash2(out, label, LABEL_LEN, owner, sizeof(*owner));
}

static void mac1_make(uint8_t mac1[OMNI_MAC_LEN], const uint8_t *msg, size_t len,
		      const struct omni_key *receiver)
{
	uint8_t key[OMNI_HASH_LEN];

	assert(len > OMNI_MACS_LEN);
	label_key(key, LABEL_MAC1, receiver);
	omni_mac(mac1, OMNI_MAC_LEN, key, sizeof(key), msg, len - OMNI_MACS_LEN);
}

static void mac2_make(uint8_t mac2[OMNI_MAC_LEN], const uint8_t *msg, size_t len,
		      const uint8_t cookie[OMNI_COOKIE_VALUE_LEN])
{
	omni_mac(mac2, OMNI_MAC_LEN, cookie, OMNI_COOKIE_VALUE_LEN, msg, len - OMNI_MAC_LEN);
}

void omni_macs_write(uint8_t *msg, size_t len, const struct omni_key *receiver,
		     const struct omni_cookie *cookie, uint64_t now_ns)
{
	uint8_t *mac2 = msg + len - OMNI_MAC_LEN;

	mac1_make(msg + len - OMNI_MACS_LEN, msg, len, receiver);
	if (cookie != NULL && omni_cookie_fresh(cookie, now_ns))
		mac2_make(mac2, msg, len, cookie->value);
	else
		memset(mac2, 0, OMNI_MAC_LEN);
}

bool omni_mac1_valid(const uint8_t *msg, size_t len, const struct omni_key *receiver)
{
	uint8_t mac1[OMNI_MAC_LEN];

	mac1_make(mac1, msg, len, receiver);
	return omni_equal_ct(mac1, msg + len - OMNI_MACS_LEN, OMNI_MAC_LEN);
}

/* The cookie of from in a period, under that period's secret. */
static void cookie_of(uint8_t value[OMNI_COOKIE_VALUE_LEN], const struct omni_cookie_maker *maker,
		      const struct omni_endpoint *from, uint64_t when)
{
	uint8_t secret[OMNI_HASH_LEN], at[8], where[sizeof(from->ip) + sizeof(uint16_t)];

	omni_store_be64(at, when);
	omni_mac(secret, sizeof(secret), &maker->secret, sizeof(maker->secret), at, sizeof(at));
	memcpy(where, &from->ip, sizeof(from->ip));
	omni_store_be16(where + sizeof(from->ip), from->port);
	omni_mac(value, OMNI_COOKIE_VALUE_LEN, secret, sizeof(secret), where, sizeof(where));
	omni_wipe(secret, sizeof(secret));
}

void omni_cookie_make(uint8_t value[OMNI_COOKIE_VALUE_LEN], const struct omni_cookie_maker *maker,
		      const struct omni_endpoint *from, uint64_t now_ns)
{
	cookie_of(value, maker, from, period(now_ns));
}

bool omni_cookie_valid(const struct omni_cookie_maker *maker,
		       const uint8_t value[OMNI_COOKIE_VALUE_LEN], const struct omni_endpoint *from,
		       uint64_t now_ns)
{
	uint8_t want[OMNI_COOKIE_VALUE_LEN];
	uint64_t now = period(now_ns);

	cookie_of(want, maker, from, now);
	if (omni_equal_ct(want, value, sizeof(want)))
		return true;
	cookie_of(want, maker, from, now - 1);
	return omni_equal_ct(want, value, sizeof(want));
}

bool omni_mac2_valid(const struct omni_cookie_maker *maker, const uint8_t *msg, size_t len,
		     const struct omni_endpoint *from, uint64_t now_ns)
{
	uint8_t cookie[OMNI_COOKIE_VALUE_LEN], mac2[OMNI_MAC_LEN];
	uint64_t now = period(now_ns);

	assert(len > OMNI_MACS_LEN);
	for (int age = 0; age <= 1; age++) {
		cookie_of(cookie, maker, from, now - (uint64_t)age);
		mac2_make(mac2, msg, len, cookie);
		if (omni_equal_ct(mac2, msg + len - OMNI_MAC_LEN, sizeof(mac2)))
			return true;
	}
	return false;
}

void omni_cookie_hold(struct omni_cookie *cookie, const uint8_t value[OMNI_COOKIE_VALUE_LEN],
		      uint64_t now_ns)
{
	memcpy(cookie->value, value, sizeof(cookie->value));
	cookie->received_ns = now_ns;
	cookie->held = true;
}

bool omni_cookie_fresh(const struct omni_cookie *cookie, uint64_t now_ns)
{
	const uint64_t fresh = (OMNI_COOKIE_LIFE_S - OMNI_COOKIE_LATENCY_S) * OMNI_NS_PER_S;

	return cookie->held && now_ns - cookie->received_ns < fresh;
}

void omni_cookie_seal(uint8_t sealed[OMNI_COOKIE_VALUE_LEN + OMNI_TAG_LEN],
		      const uint8_t value[OMNI_COOKIE_VALUE_LEN], const struct omni_key *self,
		      const uint8_t nonce[OMNI_XNONCE_LEN], const uint8_t mac1[OMNI_MAC_LEN])
{
	struct omni_key key;

	label_key(key.b, LABEL_COOKIE, self);
	omni_xaead_seal(sealed, &key, nonce, mac1, OMNI_MAC_LEN, value, OMNI_COOKIE_VALUE_LEN);
}

int omni_cookie_open(uint8_t value[OMNI_COOKIE_VALUE_LEN],
		     const uint8_t sealed[OMNI_COOKIE_VALUE_LEN + OMNI_TAG_LEN],
		     const struct omni_key *replier, const uint8_t nonce[OMNI_XNONCE_LEN],
		     const uint8_t mac1[OMNI_MAC_LEN])
{
	struct omni_key key;

	label_key(key.b, LABEL_COOKIE, replier);
	return omni_xaead_open(value, &key, nonce, mac1, OMNI_MAC_LEN, sealed,
			       OMNI_COOKIE_VALUE_LEN + OMNI_TAG_LEN);
}
