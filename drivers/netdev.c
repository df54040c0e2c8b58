/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/if_addr.h>
#include <linux/if_packet.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <libmnl/libmnl.h>

#include "netdev.h"
#include "omni_drivers.h"

/* One small message and its answer. */
#define REQUEST_LEN 1024

/* One ioctl on an interface, over a socket of its own. 0 or -errno. */
static int device_ioctl(const char *name, unsigned long request, struct ifreq *ifr)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), rc;

	if (fd < 0)
		return -errno;
	strncpy(ifr->ifr_name, name, IFNAMSIZ - 1);
	ifr->ifr_name[IFNAMSIZ - 1] = '\0';
	rc = ioctl(fd, request, ifr) < 0 ? -errno : 0;
	close(fd);
	return rc;
}

static uint16_t rx_queues(const char *name)
{
	struct ethtool_channels channels = {.cmd = ETHTOOL_GCHANNELS};
	struct ifreq ifr = {.ifr_data = (void *)&channels};

	if (device_ioctl(name, SIOCETHTOOL, &ifr) < 0)
		return 0;
	return (uint16_t)(channels.rx_count + channels.combined_count);
}

/* The carrier itself where the driver tells it: IFF_RUNNING lags behind by up to a second. */
static bool has_carrier(const char *name, bool running)
{
	struct ethtool_value link = {.cmd = ETHTOOL_GLINK};
	struct ifreq ifr = {.ifr_data = (void *)&link};

	return device_ioctl(name, SIOCETHTOOL, &ifr) < 0 ? running : link.data != 0;
}

int netdev_read(const char *name, struct netdev *dev)
{
	struct ifreq mtu = {0}, mac = {0}, flags = {0};
	int rc;

	memset(dev, 0, sizeof(*dev));
	dev->ifindex = if_nametoindex(name);
	if (dev->ifindex == 0)
		return -ENODEV;
	rc = device_ioctl(name, SIOCGIFMTU, &mtu);
	if (rc == 0)
		rc = device_ioctl(name, SIOCGIFHWADDR, &mac);
	if (rc == 0)
		rc = device_ioctl(name, SIOCGIFFLAGS, &flags);
	if (rc < 0)
		return rc;
	dev->mtu = (uint16_t)OMNI_MIN(mtu.ifr_mtu, UINT16_MAX);
	memcpy(dev->mac, mac.ifr_hwaddr.sa_data, sizeof(dev->mac));
	dev->up = flags.ifr_flags & IFF_UP;
	dev->running = dev->up && has_carrier(name, flags.ifr_flags & IFF_RUNNING);
	dev->rx_queues = rx_queues(name);
	return 0;
}

int netdev_check(const char *name, struct omni_err *err)
{
	struct if_nameindex *all;
	char have[256] = "";
	size_t len = 0;

	if (name[0] == '\0')
		return omni_fail(err, -EINVAL, "an interface must be named");
	if (if_nametoindex(name) != 0)
		return 0;
	all = if_nameindex();
	for (struct if_nameindex *i = all; i != NULL && i->if_index != 0; i++) {
		int n = snprintf(have + len, sizeof(have) - len, "%s%s", len > 0 ? ", " : "",
				 i->if_name);

		if (n < 0 || (size_t)n >= sizeof(have) - len)
			break;
		len += (size_t)n;
	}
	if (all != NULL)
		if_freenameindex(all);
	return omni_fail(err, -ENODEV, "no such interface %s (have: %s)", name, have);
}

int netdev_set_mtu(const char *name, uint16_t mtu)
{
	struct ifreq ifr = {.ifr_mtu = mtu};

	return device_ioctl(name, SIOCSIFMTU, &ifr);
}

int netdev_set_mac(const char *name, const uint8_t mac[6])
{
	struct ifreq ifr = {.ifr_hwaddr.sa_family = ARPHRD_ETHER};

	memcpy(ifr.ifr_hwaddr.sa_data, mac, 6);
	return device_ioctl(name, SIOCSIFHWADDR, &ifr);
}

int netdev_set_up(const char *name, short without)
{
	struct ifreq ifr = {0};
	int rc = device_ioctl(name, SIOCGIFFLAGS, &ifr);

	if (rc < 0)
		return rc;
	ifr.ifr_flags = (short)((ifr.ifr_flags | IFF_UP) & ~without);
	return device_ioctl(name, SIOCSIFFLAGS, &ifr);
}

int netdev_set(const char *family, const char *name, const char *key, const char *value)
{
	char path[128];
	ssize_t n;
	int fd;

	if (snprintf(path, sizeof(path), "/proc/sys/net/%s/conf/%s/%s", family, name, key) >=
	    (int)sizeof(path))
		return -ENAMETOOLONG;
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	n = write(fd, value, strlen(value));
	close(fd);
	return n == (ssize_t)strlen(value) ? 0 : -EIO;
}

static void build_address(void *buf, unsigned int ifindex, const struct omni_prefix *prefix)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	bool v4 = omni_ip_is_v4(&prefix->ip);
	const uint8_t *ip = v4 ? prefix->ip.b + 12 : prefix->ip.b;
	size_t len = v4 ? 4 : 16;
	struct ifaddrmsg *msg;

	nlh->nlmsg_type = RTM_NEWADDR;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_CREATE | NLM_F_REPLACE | NLM_F_ACK;
	nlh->nlmsg_seq = 1;
	msg = mnl_nlmsg_put_extra_header(nlh, sizeof(*msg));
	msg->ifa_family = v4 ? AF_INET : AF_INET6;
	msg->ifa_prefixlen = prefix->len;
	/* It is ours alone by the cluster's rules: usable at once, no duplicate detection. */
	msg->ifa_flags = v4 ? IFA_F_PERMANENT : IFA_F_PERMANENT | IFA_F_NODAD;
	msg->ifa_scope = RT_SCOPE_UNIVERSE;
	msg->ifa_index = ifindex;
	mnl_attr_put(nlh, IFA_LOCAL, len, ip);
	mnl_attr_put(nlh, IFA_ADDRESS, len, ip);
}

/* Send a request with NLM_F_ACK, of which buf holds len bytes, and hear what the kernel says. */
static int request(void *buf, size_t len)
{
	struct mnl_socket *nl = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	const struct nlmsghdr *nlh = buf;
	ssize_t n;
	int rc = 0;

	if (nl == NULL)
		return -errno;
	if (mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) < 0 ||
	    mnl_socket_sendto(nl, nlh, nlh->nlmsg_len) < 0)
		rc = -errno;
	if (rc == 0) {
		n = mnl_socket_recvfrom(nl, buf, len);
		if (n < 0 ||
		    mnl_cb_run(buf, (size_t)n, 1, mnl_socket_get_portid(nl), NULL, NULL) < 0)
			rc = -errno;
	}
	mnl_socket_close(nl);
	return rc;
}

int netdev_add_address(unsigned int ifindex, const struct omni_prefix *prefix)
{
	char buf[REQUEST_LEN];

	build_address(buf, ifindex, prefix);
	return request(buf, sizeof(buf));
}

int netdev_set_segment_max(const char *name, uint32_t len)
{
	char buf[REQUEST_LEN];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct ifinfomsg *msg;

	nlh->nlmsg_type = RTM_NEWLINK;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	nlh->nlmsg_seq = 1;
	msg = mnl_nlmsg_put_extra_header(nlh, sizeof(*msg));
	msg->ifi_index = (int)if_nametoindex(name);
	mnl_attr_put_u32(nlh, IFLA_GSO_MAX_SIZE, len);
	return msg->ifi_index != 0 ? request(buf, sizeof(buf)) : -ENODEV;
}

int omni_driver_interface_mtu(const char *interface)
{
	struct netdev dev;
	int rc = netdev_read(interface, &dev);

	return rc < 0 ? rc : dev.mtu;
}

int netdev_promiscuous(unsigned int ifindex)
{
	const struct packet_mreq mreq = {.mr_ifindex = (int)ifindex, .mr_type = PACKET_MR_PROMISC};
	/* Protocol 0: a socket that receives nothing. */
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	int rc;

	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &mreq, sizeof(mreq)) == 0)
		return fd;
	rc = -errno;
	close(fd);
	return rc;
}
