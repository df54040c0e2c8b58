/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The configuration of a gateway, from a YAML file or from flags (omni_cli.h). It is complete
 * and free of contradictions or it is not there: every default is filled in, every name is
 * resolved, every secret is read. Constant once loaded; any thread may read it.
 */
#ifndef OMNI_CONFIG_H
#define OMNI_CONFIG_H

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <omni_addr.h>
#include <omni_base.h>
#include <omni_log.h>
#include <omni_wire.h>

#define OMNI_CONFIG_NAME_LEN 32 /* of a port or a peer, and zero */
#define OMNI_CONFIG_DEVICE_LEN 256
#define OMNI_CONFIG_DRIVER_LEN 16
#define OMNI_CONFIG_PATH_LEN 256
#define OMNI_CONFIG_SOCKET_LEN 108 /* of a unix socket's path, and zero */
#define OMNI_CONFIG_PORTS_MAX 64
#define OMNI_CONFIG_NUCLEUS_MAX 8
#define OMNI_CONFIG_SECRET_MAX 1024
#define OMNI_CONFIG_FILE_MAX (16 * 1024 * 1024)
#define OMNI_CONFIG_WARNINGS_MAX 16
#define OMNI_CONFIG_WARNING_LEN 192

/* Where a configuration lies when nobody names one, in this order; the second under $HOME. */
#define OMNI_CONFIG_SYSTEM_FILE "/etc/omni/fleet.yaml"
#define OMNI_CONFIG_HOME_FILE ".omni/fleet.yaml"

/* Defaults. */
#define OMNI_CONFIG_IDENTITY "/etc/omni/identity.key"
#define OMNI_CONFIG_SOCKET "/run/omni/gateway.sock"
#define OMNI_CONFIG_TAP "omni0"
#define OMNI_CONFIG_VIP_LEN_V4 24
#define OMNI_CONFIG_VIP_LEN_V6 64
#define OMNI_CONFIG_VIP_LEN_AUTO 8 /* derived addresses share fd00::/8 */
#define OMNI_CONFIG_PEERS 16384
#define OMNI_CONFIG_CLUSTERS 64
#define OMNI_CONFIG_CLUSTERS_MAX 256
#define OMNI_CONFIG_FDB 131072
#define OMNI_CONFIG_LANES OMNI_LANES_MAX
#define OMNI_CONFIG_MESH 1024
#define OMNI_CONFIG_FDB_AGEING_S 300
#define OMNI_CONFIG_FLOOD_FPS 10000
#define OMNI_CONFIG_MSS_OFF 0
#define OMNI_CONFIG_MSS_AUTO UINT16_MAX
#define OMNI_CONFIG_MSS_MIN 216
#define OMNI_CONFIG_MSS_MAX 9176
#define OMNI_CONFIG_DSCP_COPY 0xff
#define OMNI_CONFIG_ROUTES 131072
#define OMNI_CONFIG_TABLE_NONE 0   /* the kernel is told no routes */
#define OMNI_CONFIG_TABLE_MAIN 254 /* its main table */
/* The main one, and for a default route the one whose number is fwmark, with rules that ask it. */
#define OMNI_CONFIG_TABLE_DEFAULT (UINT32_MAX - 1)
#define OMNI_CONFIG_TABLE_UNSET UINT32_MAX /* never in a loaded configuration */
#define OMNI_CONFIG_DEFAULT_MARK 51820	   /* where such a port is, and no fwmark is given */
#define OMNI_CONFIG_PREFIXES_MAX 65536	   /* in one list */
#define OMNI_CONFIG_ADVERTISE_MAX 1024
#define OMNI_CONFIG_VIA_MAX 16
#define OMNI_CONFIG_MTU_MIN 576
#define OMNI_CONFIG_MTU_MAX 9216
#define OMNI_CONFIG_QUEUES_MAX 16
#define OMNI_CONFIG_GENERATE_MIN 64 /* bytes of a frame */
#define OMNI_CONFIG_GENERATE_FLOWS 16
#define OMNI_CONFIG_GENERATE_FLOWS_MAX 4096

enum omni_config_idle {
	OMNI_IDLE_ADAPTIVE, /* back off through pause, then sleep on descriptors */
	OMNI_IDLE_POLL,
};

/* Which address the kernel interface of a tap or tun carries. */
enum omni_config_address {
	OMNI_ADDRESS_UNSET, /* never in a loaded configuration */
	OMNI_ADDRESS_NONE,
	OMNI_ADDRESS_VIP, /* that of its cluster */
	OMNI_ADDRESS_OWN, /* omni_config_port.address */
};

/* null: frames that it makes, for measuring. */
struct omni_config_generate {
	uint16_t size;	/* bytes without checksum; 0: 64, 576 and 1420 as 7 to 4 to 1 */
	uint16_t flows; /* 0: makes none */
	uint32_t rate;	/* frames per second and queue; 0: as many as are taken */
	uint8_t to[6];	/* destination of the first flow; the others count on from it */
};

/* A subnet behind a router on a port's link. */
struct omni_config_via {
	struct omni_prefix to;
	struct omni_ip gateway;
};

struct omni_config_port {
	char name[OMNI_CONFIG_NAME_LEN];
	char driver[OMNI_CONFIG_DRIVER_LEN]; /* "af_xdp", "tap", "memif", ... */
	char interface[IFNAMSIZ]; /* existing netdev (udp: or ""); tap, tun, virtio-user: to create
				   */
	char mode[12];		  /* af_xdp: "" best, "zero-copy", "copy", "generic" */
	uint16_t queues;	  /* 0: one for each worker, if it can */
	uint16_t mtu;		  /* 0: the interface's own where there is one, else the driver's */
	bool has_mac;
	uint8_t mac[6];
	char socket[OMNI_CONFIG_SOCKET_LEN]; /* memif, vhost, virtio-user */
	char device[OMNI_CONFIG_DEVICE_LEN]; /* pci: its address; ethdev: devargs */
	uint32_t memif_id;
	bool server;	 /* with socket: listen instead of connect */
	bool no_offload; /* tap, tun, vhost, virtio-user */
	/* tap, tun; OWN also: any port of an L3 cluster, whose own address that is */
	enum omni_config_address carries;
	struct omni_prefix address; /* of OMNI_ADDRESS_OWN */
	/* L3, tap and tun: the kernel's table that gets routes to what is behind peers */
	uint32_t routes_table;
	struct omni_config_via via[OMNI_CONFIG_VIA_MAX]; /* Ethernet ports of L3 clusters */
	unsigned int n_via;
	struct omni_config_generate generate; /* null */
	int cluster;			      /* index; -1: the underlay's, or in no cluster */
};

/* Static next hop: frames for addresses in `to` go to mac. */
struct omni_config_next_hop {
	bool any; /* to is everything, of both families */
	struct omni_prefix to;
	uint8_t mac[6];
};

struct omni_config_underlay {
	unsigned int port; /* index in ports */
	uint16_t listen;   /* UDP, host order; 0: any free one */
	bool udp_checksum; /* on IPv4 too, whoever has to make it */
	bool no_lane_ports;
	uint32_t fwmark; /* of udp's datagrams, for the kernel's routing rules and filters; 0: none
			  */
	uint16_t first_lane_port; /* of as many as there are workers; 0: any free ones */
	/* Of a port without a kernel side (memif, null, ring), or that udp is to send from. */
	bool has_address;
	struct omni_prefix address;
	struct omni_config_next_hop *next_hops; /* longest prefix first, `any` last */
	unsigned int n_next_hops;
};

struct omni_config_nucleus {
	char host[OMNI_HOST_LEN]; /* name or literal */
	uint16_t port;
	bool has_key; /* pinned X25519 key */
	struct omni_key key;
};

/* Does the port make an interface of the kernel's that carries addresses? */
static inline bool omni_config_is_host(const struct omni_config_port *port)
{
	return strcmp(port->driver, "tap") == 0 || strcmp(port->driver, "tun") == 0;
}

struct omni_config_peer {
	char name[OMNI_CONFIG_NAME_LEN];
	struct omni_key key;	  /* X25519 */
	char host[OMNI_HOST_LEN]; /* name or literal; "": none, it calls us */
	uint16_t port;
	struct omni_ip vip; /* none: whatever its handshake says */
	bool has_psk;
	struct omni_key psk;	     /* secret; replaces the derived one */
	uint16_t keepalive_s;	     /* 0: none */
	uint16_t path_mtu;	     /* 0: to be probed; of a WireGuard peer: assumed to be 1500 */
	enum omni_dialect dialect;   /* OMNI_DIALECT_OMNI or _WIREGUARD */
	struct omni_prefix *allowed; /* L3: what is routed there beside vip, and comes from there */
	unsigned int n_allowed;
};

struct omni_config_cluster {
	char name[OMNI_CLUSTER_NAME_MAX + 1];
	enum omni_mode mode;
	/*
	 * A secret, or open (secret stays NULL, the key tree takes "open:" and the name), or
	 * neither: then only the listed peers.
	 */
	char *secret;
	bool open;
	bool vip_auto;				   /* vip.ip is none: derived from the identity */
	struct omni_prefix vip;			   /* len holds in both cases */
	enum omni_cipher cipher;		   /* OMNI_CIPHER_NONE: auto */
	unsigned int ports[OMNI_CONFIG_PORTS_MAX]; /* indices */
	unsigned int n_ports;
	struct omni_config_peer *peers;
	unsigned int n_peers;
	struct omni_key *deny;
	unsigned int n_deny;
	uint16_t tcp_mss;      /* bytes; OMNI_CONFIG_MSS_AUTO, _OFF */
	bool bundles;	       /* short frames may share datagrams */
	uint32_t flood_fps;    /* flooded frames per second, copies not counted */
	uint32_t fdb_ageing_s; /* of learned addresses */
	uint32_t fdb_limit;    /* addresses; at most limits.fdb */
	/* L3 alone. */
	struct omni_prefix *addresses; /* ours beside vip, with the length of their subnet */
	unsigned int n_addresses;
	struct omni_prefix *advertise; /* behind our ports: told to other members */
	unsigned int n_advertise;
	struct omni_prefix *accept; /* what members may advertise lies in one of these */
	unsigned int n_accept;
	uint16_t mtu; /* largest packet; 0: from the path, or OMNI_WG_MTU_DEFAULT */
	enum omni_config_relay {
		OMNI_RELAY_NEVER,
		OMNI_RELAY_PEERS,
		OMNI_RELAY_HOST,
	} relay; /* may packets of a peer go to a peer: through us, or the kernel behind a tun? */
	/* Of enum omni_dialect: what our record lists. */
	unsigned int dialects;
	bool ecn;     /* RFC 6040 */
	uint8_t dscp; /* of outer headers; OMNI_CONFIG_DSCP_COPY: the inner one's */
};

struct omni_config {
	char path[OMNI_CONFIG_PATH_LEN]; /* of the file; "" when from flags */
	char identity[OMNI_CONFIG_PATH_LEN];
	bool has_key;	     /* from a wg-quick file: then identity names that */
	struct omni_key key; /* X25519, secret; in place of an identity */
	enum omni_config_idle idle;
	struct omni_config_port *ports;
	unsigned int n_ports;
	struct omni_config_underlay underlay;
	struct omni_config_nucleus nucleus[OMNI_CONFIG_NUCLEUS_MAX];
	unsigned int n_nucleus;
	struct omni_config_cluster *clusters; /* at least one */
	unsigned int n_clusters;
	struct {
		uint32_t peers, clusters, fdb, lanes;
		uint32_t routes; /* of all L3 clusters */
		uint32_t mesh;	 /* members of one cluster that we keep a session to */
	} limits;
	char socket[OMNI_CONFIG_SOCKET_LEN]; /* management */
	enum omni_log_level log_level;
	/* Sentences for the log and for `status`, none of them fatal. */
	char warnings[OMNI_CONFIG_WARNINGS_MAX][OMNI_CONFIG_WARNING_LEN];
	unsigned int n_warnings;
};

/*
 * Read and check the file at path, with the secret and PSK files that it names. NULL and a
 * sentence in err, "FILE:LINE:COLUMN: what is wrong, what was expected" where it is about the
 * content. The caller frees.
 */
struct omni_config *omni_config_load(const char *path, struct omni_err *err) OMNI_MUST_CHECK;

/*
 * The same from len bytes at text; name stands for the file in messages. Relative paths of
 * secrets are taken from the working directory.
 */
struct omni_config *omni_config_parse(const char *text, size_t len, const char *name,
				      struct omni_err *err) OMNI_MUST_CHECK;

/*
 * The clusters' keys are made: wipe the secrets' texts, from which they come. That there is one
 * still shows.
 */
void omni_config_wipe_secrets(struct omni_config *config);

/*
 * What a peer of the cluster speaks where nothing is said about it. Stock peers of an L3 cluster
 * speak WireGuard; whoever knows the secret speaks Omni's.
 */
enum omni_dialect omni_config_dialect(const struct omni_config_cluster *cluster);

/*
 * What a box can do whose identity is a WireGuard key: static L3 clusters of WireGuard peers
 * alone. 0, or -EINVAL with what goes beyond that in err.
 */
int omni_config_check_wireguard(const struct omni_config *config,
				struct omni_err *err) OMNI_MUST_CHECK;

/*
 * Leave out the peers with our own key, as WireGuard does, so that one list of peers may serve all
 * boxes of a network; each with a warning. Where it did not come from a file of wg-quick's
 * (has_key) nothing happens.
 */
void omni_config_drop_own(struct omni_config *config, const struct omni_key *own);

/* Wipe every secret and free. NULL is fine. */
void omni_config_free(struct omni_config *config);

/*
 * Read the secret in the file at path: mode 0600 or narrower, one trailing newline stripped,
 * OMNI_SECRET_MIN characters or more. NULL and a sentence in err; the caller wipes and frees
 * (omni_config_secret_free).
 */
char *omni_config_secret_read(const char *path, struct omni_err *err) OMNI_MUST_CHECK;

/* Copy a secret after the same checks on its text. */
char *omni_config_secret_copy(const char *text, struct omni_err *err) OMNI_MUST_CHECK;

/* NULL is fine. */
void omni_config_secret_free(char *secret);

#endif
