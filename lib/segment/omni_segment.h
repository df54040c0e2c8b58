/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Large segments of a host port: a TCP segment or a run of UDP datagrams of up to 64 KB is cut
 * into frames, frames of one TCP flow are joined, checksums are made and checked. What a segment
 * is says the virtio-net header (VIRTIO 1.2, 5.1.6), here always in host order. Bytes in, bytes
 * out: nothing here knows mbufs, descriptors or queues. Any thread.
 */
#ifndef OMNI_SEGMENT_H
#define OMNI_SEGMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/virtio_net.h>

#include <omni_base.h>
#include <omni_sum.h>

/* Of runs of UDP datagrams; the system's header may be older. */
#define OMNI_GSO_UDP_L4 5
/* A length field of 16 bits, IPv6's header, Ethernet's and two VLAN tags in front. */
#define OMNI_SEGMENT_MAX (65535 + 40 + 22)
/* Less than this in each frame is no segment: the kernel draws the line there too. */
#define OMNI_GSO_SIZE_MIN 8
/* Ethernet, two VLAN tags, IP with options, TCP with options. */
#define OMNI_SEGMENT_HDR_MAX 192

/* ---- Checksums ---- */

/*
 * Write the checksum that the virtio-net header says is missing into the frame of len bytes.
 * False, and nothing written, where the header points outside of it.
 */
bool omni_finish_checksum(uint8_t *frame, uint32_t len, uint16_t start, uint16_t offset);

/* ---- Cutting ---- */

/* A segment and how it is cut. All pieces but the last carry `size` bytes of payload. */
struct omni_split {
	uint32_t payload_len;
	uint32_t pieces;
	uint32_t sequence;  /* TCP, of the first piece */
	uint16_t l3, l4;    /* where the headers begin */
	uint16_t hdr_len;   /* of all headers: where the payload begins */
	uint16_t size;	    /* payload of a piece */
	uint16_t ip_id;	    /* IPv4, of the first piece */
	uint16_t ip_sum;    /* of the IPv4 header without length, id and checksum */
	uint16_t l4_sum;    /* of pseudo header and header without lengths, sequence, flags */
	uint16_t tcp_flags; /* with the data offset, host order */
	bool v6, udp;
	uint8_t head[OMNI_SEGMENT_HDR_MAX];
};

/*
 * How to cut the frame of len bytes that h describes, whose first bytes, headers included, are
 * head_len bytes at head. 0, or -EINVAL where h and the frame contradict each other.
 */
int omni_split_begin(struct omni_split *s, const struct virtio_net_hdr *h, const uint8_t *head,
		     uint32_t head_len, uint32_t len) OMNI_MUST_CHECK;

/* The same for a TCP segment without such a header, but with a checksum as unfinished. */
int omni_split_tcp(struct omni_split *s, uint16_t size, const uint8_t *head, uint32_t head_len,
		   uint32_t len) OMNI_MUST_CHECK;

/* The same for a segment that begins at its IP header. */
int omni_split_packet(struct omni_split *s, uint16_t size, const uint8_t *head, uint32_t head_len,
		      uint32_t len) OMNI_MUST_CHECK;

static inline uint32_t omni_split_payload(const struct omni_split *s, uint32_t piece)
{
	return piece + 1 < s->pieces ? s->size : s->payload_len - piece * s->size;
}

/*
 * Write the headers of a piece to frame, with finished checksums; sum is omni_sum of its payload.
 * Returns the length of the frame.
 */
uint32_t omni_split_head(const struct omni_split *s, uint32_t piece, uint8_t *frame, uint64_t sum);

/*
 * The whole piece to frame, from the payload of the whole segment. Returns the length of the
 * frame, at most hdr_len + size.
 */
uint32_t omni_split_piece(const struct omni_split *s, uint32_t piece, const uint8_t *payload,
			  uint8_t *frame);

/* ---- Joining ---- */

#define OMNI_JOIN_MAX 256  /* frames in a burst */
#define OMNI_JOIN_GROUP 64 /* and in a group */
#define OMNI_JOIN_END OMNI_JOIN_MAX
#define OMNI_JOIN_SLOTS 128

/* Frames that leave together: one TCP flow's, each the continuation of the one before. */
struct omni_join_group {
	uint16_t first, last; /* index of frame; the others by omni_join.next */
	uint16_t n;
	bool open;     /* the next one of the flow may be appended */
	bool verified; /* the first frame's checksums hold */
	bool v6;
	bool same_id; /* IPv4: all have one id, else ids count up */
	uint16_t l3, l4, hdr_len;
	uint16_t size; /* payload of each but the last */
	uint16_t last_id;
	uint32_t end;	  /* sequence that comes next */
	uint32_t payload; /* of all */
};

struct omni_join {
	unsigned int n; /* groups */
	unsigned int frames;
	struct omni_join_group group[OMNI_JOIN_MAX];
	const uint8_t *frame[OMNI_JOIN_MAX];
	uint32_t len[OMNI_JOIN_MAX];
	uint16_t next[OMNI_JOIN_MAX]; /* OMNI_JOIN_END: the last of its group */
	uint16_t slot[OMNI_JOIN_SLOTS];
};

/* Begin a burst. */
void omni_join_begin(struct omni_join *j);

/*
 * Add a frame of len bytes, the index-th of at most OMNI_JOIN_MAX; frame must live as long as j
 * is used. It becomes part of a group or a group of its own. Sent in the order of their groups,
 * frames of one flow keep their order. A frame with a wrong checksum is never joined.
 */
void omni_join_add(struct omni_join *j, const uint8_t *frame, uint32_t len);

/*
 * A frame that is not looked at, for instance because it is not in one piece: a group of its
 * own, which no frame overtakes.
 */
void omni_join_add_opaque(struct omni_join *j);

/*
 * The headers of a group of two or more for all its payload, to head (of OMNI_SEGMENT_HDR_MAX),
 * and the virtio-net header that goes with them. Returns their length, after which each frame's
 * bytes from there on follow.
 */
uint32_t omni_join_head(const struct omni_join *j, const struct omni_join_group *g,
			struct virtio_net_hdr *h, uint8_t *head);

#endif
