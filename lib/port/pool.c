/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <errno.h>
#include <unistd.h>

#include <rte_common.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_mbuf_pool_ops.h>

#include <omni_port.h>

#define CACHE 256
/* The kernel takes UMEM chunks of this size; the larger one is its page. */
#define CHUNK_MIN 2048
#define CHUNK_MAX 4096

/* Object header, mbuf and private area: what stands in front of the data room. */
static unsigned int front_len(unsigned int priv_len)
{
	return RTE_CACHE_LINE_SIZE + (unsigned int)sizeof(struct rte_mbuf) + priv_len;
}

static int room_len(enum omni_pool_kind kind, unsigned int frame_len, unsigned int priv_len,
		    struct omni_err *err)
{
	unsigned int head =
		kind == OMNI_POOL_AF_XDP ? OMNI_POOL_XDP_HEADROOM : RTE_PKTMBUF_HEADROOM;
	unsigned int front = front_len(priv_len);
	unsigned int room =
		RTE_ALIGN_CEIL(head + frame_len + OMNI_POOL_TAILROOM, RTE_CACHE_LINE_SIZE);

	if (kind == OMNI_POOL_PLAIN)
		return room <= UINT16_MAX
			       ? (int)room
			       : omni_fail(err, -EMSGSIZE, "frames of %u bytes fit into no buffer",
					   frame_len);
	if (front + room > CHUNK_MAX)
		return omni_fail(err, -EMSGSIZE,
				 "frames of %u bytes fit into no AF_XDP buffer: %u is the most",
				 frame_len, CHUNK_MAX - front - head - OMNI_POOL_TAILROOM);
	return (int)RTE_MAX(room, CHUNK_MIN - front);
}

/*
 * Where memory has hugepages, objects lie so that none crosses one (zero-copy needs that); where
 * it has none, one object per 4 KB page would be waste, and only copy mode is used.
 */
static unsigned int pool_flags(void)
{
	return rte_eal_has_hugepages() ? 0 : RTE_MEMPOOL_F_NO_IOVA_CONTIG;
}

static struct rte_mempool *fill(struct rte_mempool *pool, unsigned int room, unsigned int priv_len)
{
	struct rte_pktmbuf_pool_private priv = {
		.mbuf_data_room_size = (uint16_t)room,
		.mbuf_priv_size = (uint16_t)priv_len,
	};
	int rc = rte_mempool_set_ops_byname(pool, rte_mbuf_best_mempool_ops(), NULL);

	if (rc == 0) {
		rte_pktmbuf_pool_init(pool, &priv);
		rc = rte_mempool_populate_default(pool);
	}
	if (rc < 0) {
		rte_mempool_free(pool);
		rte_errno = -rc;
		return NULL;
	}
	rte_mempool_obj_iter(pool, rte_pktmbuf_init, NULL);
	return pool;
}

/* On that node, or NULL with rte_errno. */
static struct rte_mempool *create_on(const char *name, unsigned int count, unsigned int room,
				     unsigned int priv_len, int socket)
{
	struct rte_mempool *pool = rte_mempool_create_empty(
		name, count, (unsigned int)sizeof(struct rte_mbuf) + priv_len + room,
		count >= 4 * CACHE ? CACHE : 0, sizeof(struct rte_pktmbuf_pool_private), socket,
		pool_flags());

	return pool != NULL ? fill(pool, room, priv_len) : NULL;
}

struct rte_mempool *omni_pool_create(const char *name, enum omni_pool_kind kind, unsigned int count,
				     unsigned int frame_len, unsigned int priv_len,
				     struct omni_err *err)
{
	return omni_pool_create_on(name, kind, count, frame_len, priv_len, SOCKET_ID_ANY, err);
}

struct rte_mempool *omni_pool_create_on(const char *name, enum omni_pool_kind kind,
					unsigned int count, unsigned int frame_len,
					unsigned int priv_len, int socket, struct omni_err *err)
{
	struct rte_mempool *pool;
	int room = room_len(kind, frame_len, priv_len, err);
	uintptr_t start;
	size_t len;

	if (room < 0) {
		rte_errno = -room;
		return NULL;
	}
	pool = create_on(name, count, (unsigned int)room, priv_len, socket);
	if (pool == NULL && socket != SOCKET_ID_ANY)
		pool = create_on(name, count, (unsigned int)room, priv_len, SOCKET_ID_ANY);
	if (pool == NULL) {
		omni_fail(err, -rte_errno, "no memory for pool %s of %u buffers (%u MB): %s", name,
			  count, (count / 1024 * (front_len(priv_len) + (unsigned int)room)) / 1024,
			  rte_strerror(rte_errno));
		return NULL;
	}
	if (kind == OMNI_POOL_AF_XDP && omni_pool_region(pool, &start, &len) < 0) {
		rte_mempool_free(pool);
		omni_fail(err, -EINVAL,
			  "memory of pool %s is in several regions: AF_XDP needs one (give EAL "
			  "--iova-mode=va)",
			  name);
		rte_errno = EINVAL;
		return NULL;
	}
	return pool;
}

unsigned int omni_pool_frame_max(const struct rte_mempool *pool, enum omni_pool_kind kind)
{
	struct rte_mempool *p = RTE_PTR_ADD(pool, 0);
	unsigned int room = rte_pktmbuf_data_room_size(p);
	unsigned int head = kind == OMNI_POOL_AF_XDP ? OMNI_POOL_XDP_HEADROOM
						     : RTE_PKTMBUF_HEADROOM + OMNI_POOL_TAILROOM;

	return room > head ? room - head : 0;
}

int omni_pool_region(const struct rte_mempool *pool, uintptr_t *start, size_t *len)
{
	const struct rte_mempool_memhdr *chunk;
	uintptr_t low = UINTPTR_MAX, high = 0;
	size_t sum = 0;

	STAILQ_FOREACH (chunk, &pool->mem_list, next) {
		low = RTE_MIN(low, (uintptr_t)chunk->addr);
		high = RTE_MAX(high, (uintptr_t)chunk->addr + chunk->len);
		sum += chunk->len;
	}
	/* Chunks that follow each other, but for the alignment between them. */
	if (high <= low || high - low > sum + (size_t)pool->nb_mem_chunks * CHUNK_MAX)
		return -EINVAL;
	*start = low;
	*len = high - low;
	return 0;
}
