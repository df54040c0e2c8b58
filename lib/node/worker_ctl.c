/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Making and freeing a worker: control's side of lib/node. */
#include <errno.h>

#include <rte_errno.h>
#include <rte_malloc.h>
#include <rte_random.h>

#include "worker.h"

static bool is_valid(const struct omni_worker_conf *c)
{
	return c->id < c->workers && c->workers <= OMNI_NODE_WORKERS_MAX &&
	       (c->workers == 1 || c->xrings != NULL) && c->ports != NULL && c->sessions != NULL &&
	       c->peers != NULL && c->bridges != NULL && c->fdb != NULL && c->rcu != NULL &&
	       c->xring != NULL && c->stats != NULL && c->aead != NULL && c->pool != NULL &&
	       c->n_udp_ports <= OMNI_NODE_UDP_PORTS_MAX && c->uplink < OMNI_PORTS_MAX;
}

void *omni_node_zalloc(const struct omni_worker_conf *conf, const char *name, size_t len)
{
	void *p = rte_zmalloc_socket(name, len, RTE_CACHE_LINE_SIZE, conf->socket);

	return p != NULL ? p : rte_zmalloc(name, len, RTE_CACHE_LINE_SIZE);
}

struct omni_worker *omni_node_worker_create(const struct omni_worker_conf *conf)
{
	struct omni_worker *w;

	if (!is_valid(conf)) {
		rte_errno = EINVAL;
		return NULL;
	}
	w = omni_node_zalloc(conf, "omni_worker", sizeof(*w));
	if (w == NULL)
		goto fail;
	w->conf = *conf;
	w->hz = rte_get_tsc_hz();
	w->fragment_id = (uint16_t)rte_rand();
	w->want_s = omni_node_zalloc(conf, "omni_want", conf->peers->size * sizeof(*w->want_s));
	if (w->want_s == NULL || omni_node_reassemble_init(w) != 0 ||
	    omni_node_outer_init(w) != 0 || omni_node_segments_init(w) != 0 ||
	    omni_node_hold_init(w) != 0)
		goto fail;
	return w;
fail:
	omni_node_worker_free(w);
	rte_errno = ENOMEM;
	return NULL;
}

void omni_node_worker_free(struct omni_worker *w)
{
	if (w == NULL)
		return;
	omni_node_hold_fini(w);
	omni_node_segments_fini(w);
	omni_node_outer_fini(w);
	omni_node_reassemble_fini(w);
	rte_free(w->want_s);
	rte_free(w);
}

const struct omni_worker_conf *omni_node_worker_conf(const struct omni_worker *w)
{
	return &w->conf;
}
