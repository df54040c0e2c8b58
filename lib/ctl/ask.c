/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Members of L3 clusters on demand: the first packet for an address in the VIPs' subnet has every
 * Nucleus asked for it. What none of them knows is refused for a while, so that neither senders
 * nor servers are kept busy with it.
 */
#include "l3.h"
#include "nucleus_client.h"

#define SALT 7

struct ctl_asks {
	struct ctl_index by_vip;
	struct ctl_ask_list all; /* oldest first */
	struct ctl_bucket rate[OMNI_CONFIG_CLUSTERS_MAX];
	uint32_t n[OMNI_CONFIG_CLUSTERS_MAX];
};

/* ---- The table ---- */

static uint64_t hash_of(const struct ctl_asks *t, const struct ctl_cluster *c,
			const struct omni_ip *vip)
{
	return ctl_index_hash(&t->by_vip, vip, sizeof(*vip), SALT + c->number);
}

static struct ctl_ask *find(const struct ctl_asks *t, const struct ctl_cluster *c,
			    const struct omni_ip *vip)
{
	struct ctl_link *l = ctl_index_first(&t->by_vip, hash_of(t, c, vip));

	for (; l != NULL; l = ctl_index_next(l)) {
		struct ctl_ask *a = ctl_container(l, struct ctl_ask, link);

		if (a->cluster == c && omni_ip_equal(&a->vip, vip))
			return a;
	}
	return NULL;
}

static void ask_free(struct omni_ctl *ctl, struct ctl_ask *a)
{
	struct ctl_asks *t = ctl->asks;
	struct omni_prefix host = ctl_l3_host(&a->vip);

	if (a->rejected)
		(void)omni_fib_del(ctl->conf.fib, a->cluster->number, &host,
				   omni_dest_make(OMNI_DEST_REJECT, 0, 0));
	t->n[a->cluster->number]--;
	ctl_index_del(&t->by_vip, &a->link);
	TAILQ_REMOVE(&t->all, a, entry);
	free(a);
}

/* The oldest that was answered with no. */
static bool give_way(struct omni_ctl *ctl, const struct ctl_cluster *c)
{
	struct ctl_ask *a;

	TAILQ_FOREACH (a, &ctl->asks->all, entry) {
		if (a->cluster != c || !a->rejected)
			continue;
		ask_free(ctl, a);
		return true;
	}
	return false;
}

static void ask_new(struct omni_ctl *ctl, struct ctl_cluster *c, const struct omni_ip *vip)
{
	struct ctl_asks *t = ctl->asks;
	struct ctl_ask *a = NULL;

	if (t->n[c->number] < CTL_ASKS_MAX || give_way(ctl, c))
		a = calloc(1, sizeof(*a));
	if (a == NULL) {
		ctl_count(ctl, OMNI_STAT_ctl_asks_limited);
		return;
	}
	a->cluster = c;
	a->vip = *vip;
	a->due_ns = ctl_now(ctl) + CTL_ASK_NS;
	t->n[c->number]++;
	ctl_index_add(&t->by_vip, &a->link, hash_of(t, c, vip));
	TAILQ_INSERT_TAIL(&t->all, a, entry);
	ctl_count(ctl, OMNI_STAT_ctl_asks);
}

/* ---- Questions ---- */

void ctl_ask_want(struct omni_ctl *ctl, uint16_t cluster, const struct omni_ip *vip)
{
	struct ctl_cluster *c = cluster < ctl->n_clusters ? &ctl->cluster[cluster] : NULL;

	if (c == NULL || c->l3 == NULL || !c->l3->asks || ctl->stopping ||
	    !omni_ip_is_unicast(vip) || find(ctl->asks, c, vip) != NULL ||
	    omni_dest_kind(ctl_l3_lookup(ctl, c, vip)) != OMNI_DEST_ASK)
		return;
	if (!ctl_bucket_take(&ctl->asks->rate[cluster], ctl_now(ctl), CTL_ASKS_PER_S,
			     CTL_ASKS_BURST)) {
		ctl_count(ctl, OMNI_STAT_ctl_asks_limited);
		return;
	}
	ask_new(ctl, c, vip);
	ctl_nucleus_ask(ctl, c);
}

struct ctl_ask *ctl_ask_next(struct omni_ctl *ctl, const struct ctl_cluster *c, uint32_t server)
{
	struct ctl_ask *a;

	TAILQ_FOREACH (a, &ctl->asks->all, entry)
		if (a->cluster == c && !a->rejected && (a->asked >> server & 1) == 0)
			return a;
	return NULL;
}

void ctl_ask_lost(struct omni_ctl *ctl, const struct ctl_cluster *c, const struct omni_ip *vip,
		  uint32_t server)
{
	struct ctl_ask *a = find(ctl->asks, c, vip);

	if (a != NULL)
		a->asked &= ~(UINT32_C(1) << server);
}

/* ---- Answers ---- */

static void reject(struct omni_ctl *ctl, struct ctl_ask *a)
{
	struct omni_prefix host = ctl_l3_host(&a->vip);

	/* It called us meanwhile, by a way that no server of ours knows. */
	if (omni_dest_kind(ctl_l3_lookup(ctl, a->cluster, &a->vip)) != OMNI_DEST_ASK) {
		ask_free(ctl, a);
		return;
	}
	ctl_count(ctl, OMNI_STAT_ctl_asks_in_vain);
	a->rejected = true;
	a->due_ns = ctl_now(ctl) + CTL_ASK_REJECTED_NS;
	if (omni_fib_set(ctl->conf.fib, a->cluster->number, &host,
			 omni_dest_make(OMNI_DEST_REJECT, 0, 0)) < 0)
		ctl_count(ctl, OMNI_STAT_ctl_routes_full);
}

void ctl_ask_answered(struct omni_ctl *ctl, const struct ctl_cluster *c, const struct omni_ip *vip,
		      uint32_t server, bool found)
{
	struct ctl_ask *a = find(ctl->asks, c, vip);

	if (a == NULL)
		return;
	a->answered |= UINT32_C(1) << server;
	if (found)
		ask_free(ctl, a);
	else if (!a->rejected && (ctl_nucleus_servers(ctl, c) & ~a->answered) == 0)
		reject(ctl, a);
}

void ctl_ask_news(struct omni_ctl *ctl, const struct ctl_cluster *c, const struct omni_ip *vip)
{
	struct ctl_ask *a = find(ctl->asks, c, vip);

	if (a != NULL && a->rejected)
		ask_free(ctl, a);
}

/* ---- Time, begin and end ---- */

void ctl_asks_tick(struct omni_ctl *ctl, uint64_t now)
{
	struct ctl_ask *a, *next;

	for (a = TAILQ_FIRST(&ctl->asks->all); a != NULL; a = next) {
		next = TAILQ_NEXT(a, entry);
		if (now >= a->due_ns)
			ask_free(ctl, a);
	}
}

int ctl_asks_init(struct omni_ctl *ctl, struct omni_err *err)
{
	struct ctl_asks *t = calloc(1, sizeof(*t));

	ctl->asks = t;
	if (t == NULL || ctl_index_init(&t->by_vip, CTL_ASKS_MAX) != 0)
		return omni_fail(err, -ENOMEM, "no memory for what a Nucleus is asked");
	TAILQ_INIT(&t->all);
	return 0;
}

void ctl_asks_fini(struct omni_ctl *ctl)
{
	struct ctl_asks *t = ctl->asks;
	struct ctl_ask *a;

	if (t == NULL)
		return;
	while (t->by_vip.bucket != NULL && (a = TAILQ_FIRST(&t->all)) != NULL)
		ask_free(ctl, a);
	ctl_index_fini(&t->by_vip);
	free(t);
	ctl->asks = NULL;
}
