/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The one list of counters: name, and the sentence that omnictl, the metrics and the documents
 * print. A frame that vanishes does so under exactly one of the drop_ names.
 */
#ifndef OMNI_STATS_LIST_H
#define OMNI_STATS_LIST_H

/* clang-format off */
#define OMNI_STATS_LIST(X) \
	/* traffic */ \
	X(uplink_rx, "datagrams received on the uplink") \
	X(uplink_tx, "datagrams sent on the uplink") \
	X(local_rx, "frames received on local ports") \
	X(local_tx, "frames sent on local ports") \
	X(opened, "datagrams decrypted and authenticated") \
	X(sealed, "datagrams encrypted") \
	X(flooded, "copies made of broadcast, multicast and unknown unicast frames") \
	X(fragments_sent, "fragments sent because a frame exceeded the path MTU") \
	X(fragments_received, "fragments received") \
	X(reassembled, "frames put together from fragments") \
	X(segments_sent, "TCP segments of up to 64 KB sent whole") \
	X(pieces_sent, "datagrams that they were sent in") \
	X(segments_received, "TCP segments received whole") \
	X(pieces_received, "datagrams that they came in") \
	X(segments_cut, "whole TCP segments cut into frames for who does not take them") \
	X(mss_clamped, "TCP connections whose segments were fitted to a peer's path") \
	X(bundles_sent, "datagrams sent that carry several frames") \
	X(bundled_frames, "frames sent in bundles") \
	X(bundles_received, "bundles of small frames received") \
	X(keepalives_received, "keepalives received") \
	X(punted_handshake, "handshake datagrams passed to control") \
	X(punted_control, "authenticated control messages passed to control") \
	X(punted_link, "ARP and neighbour discovery passed to control") \
	X(control_sent, "datagrams that control sent") \
	X(ip_fragments_sent, "IPv4 fragments made because a packet exceeded what was ahead") \
	X(outer_fragments_sent, "IP fragments of datagrams to WireGuard peers whose path carries less than IPv6's minimum") \
	X(outer_fragments_received, "IP fragments received on an uplink that has no kernel behind it") \
	X(outer_reassembled, "datagrams put together from them") \
	X(held, "packets that waited for a key, a member or a neighbour") \
	X(icmp_echoed, "pings of our addresses answered") \
	X(icmp_sent, "ICMP errors sent about packets that ended here") \
	X(icmp_limited, "ICMP errors not sent because of their rate limit") \
	X(icmp_withheld, "ICMP errors not sent because the packet gets none, or we have no address") \
	X(handed_datagrams, "datagrams handed to the worker that owns their lane") \
	X(handed_frames, "frames handed to a worker that has a queue of their port") \
	/* classify */ \
	X(drop_not_ip, "uplink frame that is neither IPv4 nor IPv6") \
	X(drop_not_udp, "uplink packet that is not UDP") \
	X(drop_outer_fragment, "IP fragment that contradicts or repeats its datagram, or breaks a limit") \
	X(drop_outer_full, "datagram given up for newer ones: too many wait for IP fragments, or too many of its source") \
	X(drop_outer_timeout, "datagram given up of which IP fragments are missing") \
	X(drop_not_ours, "uplink datagram to a port or address that is not ours") \
	X(drop_malformed, "uplink packet whose lengths contradict each other") \
	X(drop_unknown_type, "datagram of an unknown type") \
	X(drop_bad_length, "datagram of impossible length for its type") \
	X(drop_bad_suite, "handshake in a suite that is not spoken") \
	X(drop_circuit, "circuit message; reserved") \
	X(drop_stun, "STUN message that nobody asked for") \
	X(drop_hello, "Nucleus hello sent to a gateway") \
	/* decap */ \
	X(drop_no_session, "data for a session id that does not exist") \
	X(drop_key_expired, "data on a key past its life") \
	X(drop_bad_header, "data header with a reserved bit or byte set") \
	X(drop_bad_lane, "data on a lane that was not granted") \
	X(drop_lane_owner, "data on a lane that another worker claimed at the same time") \
	X(drop_replayed, "data seen before, or older than the replay window") \
	X(drop_bad_tag, "data whose authentication failed") \
	X(drop_bad_kind, "authenticated data of an unknown kind") \
	X(drop_control_lane, "authenticated control message on another lane than 0") \
	X(drop_bad_bundle, "bundle whose lengths do not add up") \
	X(drop_bad_fragment, "fragment that contradicts its frame or breaks a limit") \
	X(drop_reassembly_full, "fragment refused because reassembly is at its bound") \
	X(drop_reassembly_timeout, "incomplete frame given up") \
	X(drop_broken_segment, "piece of a TCP segment of which another is missing") \
	X(drop_ecn, "packet marked on the underlay whose sender does not know ECN (RFC 6040)") \
	X(drop_runt, "frame shorter than an Ethernet header") \
	X(drop_too_long, "frame longer than was negotiated or than the port carries") \
	/* learn, forward */ \
	X(drop_no_cluster, "frame from a port or peer that belongs to no cluster") \
	X(drop_bad_source, "frame with a multicast or zero source address") \
	X(drop_mac_damped, "frame whose source address moves too often") \
	X(drop_same_port, "frame to an address behind the port it came from") \
	X(drop_split_horizon, "frame from a peer to an address behind a peer") \
	X(drop_flood_budget, "broadcast or unknown frame over the cluster's flood budget") \
	X(drop_nobody, "broadcast or unknown frame with nobody to send it to") \
	X(drop_link_local, "frame to the bridge group addresses 01:80:c2:00:00:00-0f") \
	/* ip_input, source_check, route */ \
	X(drop_not_our_mac, "frame on an L3 port that is for another station") \
	X(drop_not_routed, "frame on an L3 port that is neither IP nor ARP") \
	X(drop_bad_ip, "packet whose IP header contradicts itself or its length") \
	X(drop_ip_checksum, "packet whose IPv4 header checksum is wrong") \
	X(drop_ip_source, "packet with a source address that no host can have, or none on a link: ours") \
	X(drop_ip_dest, "packet to an address that no host can have") \
	X(drop_ip_link_local, "packet with a link-local address that would leave its link") \
	X(drop_multicast, "packet to a multicast or broadcast address that is not between a tun and a peer") \
	X(drop_source_address, "packet from a peer that its source address does not belong to") \
	X(drop_ttl, "packet whose time to live or hop limit was used up") \
	X(drop_no_route, "packet to an address without a route") \
	X(drop_rejected, "packet to an address where nobody is to be found") \
	X(drop_relay_refused, "packet from a peer to a peer in a cluster that does not relay") \
	X(drop_same_peer, "packet from a peer to an address of the same peer") \
	X(drop_too_big, "packet longer than what is ahead that must not be cut") \
	X(drop_under_minimum, "IPv6 packet of at most 1280 bytes, which what is ahead cannot carry") \
	X(drop_not_served, "packet to an address of ours that is no ping") \
	X(drop_no_neighbour, "packet to a host whose link address is known no more") \
	X(drop_held_full, "packet refused because too many wait, or too many for its destination") \
	X(drop_held_timeout, "packet that waited in vain") \
	/* encap */ \
	X(drop_no_peer, "frame to a peer that has gone") \
	X(drop_no_key, "frame to a peer without a session") \
	X(drop_no_path, "frame to a peer without a known address") \
	X(drop_no_lane, "frame on a lane that the peer did not grant") \
	X(drop_no_mbuf, "buffer pool exhausted") \
	X(drop_key_worn, "frame refused because the key has sealed its limit") \
	/* tx */ \
	X(drop_tx_full, "frame that the port's queue did not take") \
	X(drop_port_gone, "frame to a port that has gone") \
	X(drop_inbox_full, "frame for another worker refused because its inbox was full") \
	/* rings to control */ \
	X(drop_punt_full, "datagram for control refused because its ring was full") \
	X(event_lost, "event for control refused because its ring was full; raised again later") \
	/* control: handshakes */ \
	X(ctl_bad_mac1, "handshake whose mac1 is wrong") \
	X(ctl_under_load, "handshake answered with a cookie because of load") \
	X(ctl_rate_limited, "handshake refused by the rate limit of its source") \
	X(ctl_bad_handshake, "handshake that did not decrypt or contradicts itself") \
	X(ctl_unknown_cluster, "handshake for a cluster that is not ours") \
	X(ctl_bad_proof, "handshake whose member proof is wrong: another secret") \
	X(ctl_stale, "handshake initiation older than the newest of its peer") \
	X(ctl_denied, "handshake from a denied key") \
	X(ctl_refused, "handshake answered with a refusal") \
	X(ctl_was_refused, "handshake that the peer refused") \
	X(ctl_unknown_key, "WireGuard initiation of a key that is no peer's") \
	X(ctl_flood, "WireGuard initiation too soon after another of its peer, and a newer one came") \
	X(ctl_given_up, "WireGuard handshakes given up: no answer in 90 s") \
	X(ctl_keepalives_sent, "WireGuard keepalives sent") \
	X(ctl_unexpected, "handshake response or cookie that nobody waits for") \
	X(ctl_wrong_dialect, "handshake in a dialect the peer is not configured for") \
	X(ctl_handshakes_sent, "handshake initiations sent") \
	X(ctl_handshakes_done, "handshakes completed") \
	X(ctl_crossed, "crossing initiations resolved") \
	X(ctl_keys_wiped, "keys wiped at the end of their life") \
	X(ctl_routing_loop, "ways to an address not taken: they led into the overlay itself") \
	X(ctl_routes_full, "routes left out: no room in the table (limits: routes)") \
	X(ctl_routes_swallowing, "kernel routes left out: the tunnel's own datagrams would have followed them") \
	X(ctl_kernel_routes_refused, "routes that the kernel did not take or give back") \
	X(ctl_link_answered, "questions by ARP and neighbour discovery answered on L3 ports") \
	X(ctl_link_limited, "neighbours not asked for, and questions not answered, because of the rate limit") \
	X(ctl_link_malformed, "ARP and neighbour discovery that no honest host sends") \
	X(ctl_link_ignored, "frames for control on L3 ports that are neither question nor answer") \
	X(ctl_neighbours_failed, "hosts on a link that did not answer, or do so no more") \
	X(ctl_neighbours_full, "hosts on a link not remembered, or forgotten for others: too many of one port") \
	X(ctl_neighbours_duplicate, "frames of another host on a link that says it has an address of ours") \
	X(ctl_asks, "members of L3 clusters looked for, as packets waited for them") \
	X(ctl_asks_limited, "members not looked for because of a limit: too many at once") \
	X(ctl_asks_in_vain, "members looked for that no Nucleus knows") \
	X(ctl_routes_learned, "tables of prefixes behind members taken over") \
	X(ctl_routes_refused, "prefixes and tables of members not taken: not accepted here, or somebody else's") \
	X(ctl_unreachable, "datagram not sent: no route or no neighbour") \
	X(ctl_no_mbuf, "datagram not sent: buffer pool exhausted") \
	X(ctl_ring_full, "datagram not sent: the worker's ring was full") \
	X(ctl_peers_full, "peer refused because the table is full") \
	/* control: authenticated messages */ \
	X(ctl_bad_control, "control message that is not valid CBOR of ours") \
	X(ctl_probes_sent, "path probes sent") \
	X(ctl_probes_received, "path probes received") \
	X(ctl_echoes_received, "path probe echoes received") \
	X(ctl_probes_limited, "path probes not sent or answered because of the rate limit") \
	X(ctl_lane_ports_proven, "source ports of lanes taken into use, as their probes were echoed") \
	X(ctl_lane_ports_lost, "source ports of lanes given up, as their probes were echoed no more") \
	X(ctl_roamed, "peers moved to a new address after a probe") \
	X(ctl_cuts_received, "requests of a peer for frames instead of whole TCP segments") \
	X(ctl_closes_received, "sessions closed by the peer") \
	/* control: members and the Nucleus */ \
	X(ctl_vip_conflict, "claim of a VIP that another member holds") \
	X(ctl_record_bad, "member record that is malformed") \
	X(ctl_record_forged, "member record with a wrong signature") \
	X(ctl_record_foreign, "member record of another cluster, or of another address than was asked for") \
	X(ctl_record_expired, "member record past its life, or from the future") \
	X(ctl_record_old, "member record older than the newest seen of its key") \
	X(ctl_nucleus_wrong_key, "hello answer with another key than the pinned one") \
	X(ctl_nucleus_timeouts, "requests to a Nucleus that went unanswered") \
	X(ctl_nucleus_refused, "requests that a Nucleus refused") \
	X(ctl_candidates_filtered, "peer addresses ignored because they cannot be right") \
	/* control: tables */ \
	X(fdb_learned, "MAC addresses learned") \
	X(fdb_moved, "MAC addresses moved to another port or peer") \
	X(fdb_aged, "MAC addresses forgotten by age") \
	X(fdb_full, "MAC addresses not learned because the table is full") \
	X(fdb_damped, "MAC moves refused because the address moves too often")

/* In the order in which a frame meets them. */
#define OMNI_STAGES_LIST(X) \
	X(rx, "take a burst from a port") \
	X(classify, "outer headers and message type") \
	X(outer_reassemble, "IP fragments to datagrams") \
	X(hand_off, "from and to other workers") \
	X(decap_prepare, "session, key age, lane, replay peek") \
	X(open, "decrypt") \
	X(decap_commit, "replay mark, confirmation, roaming") \
	X(reassemble, "fragments to frames") \
	X(gather, "pieces to whole TCP segments") \
	X(unbundle, "bundles to frames") \
	X(punt, "hand over to control") \
	X(split, "whole TCP segments to frames, where they cannot stay so") \
	X(ip_input, "link and IP headers of packets from L3 ports") \
	X(source_check, "source addresses of packets from peers") \
	X(route, "hops, and destinations by longest prefix") \
	X(icmp, "answers to packets that end here") \
	X(ip_fragment, "IPv4 packets to fragments") \
	X(hold, "packets that wait") \
	X(learn, "source MAC addresses") \
	X(forward, "destination lookup") \
	X(replicate, "copies for every peer and port") \
	X(clamp, "TCP's MSS to what the path carries") \
	X(fragment, "frames to fragments") \
	X(bundle, "short frames to bundles") \
	X(encap_prepare, "headers, lane and sequence") \
	X(seal, "encrypt") \
	X(outer_fragment, "datagrams to IP fragments, where nothing else helps") \
	X(tx, "give bursts to ports")
/* clang-format on */

#endif
