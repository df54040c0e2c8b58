/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What the readers of a wg-quick file share. */
#ifndef WG_QUICK_H
#define WG_QUICK_H

#include <omni_wg_quick.h>

#define WG_KEYS_MAX 24
#define WG_BLANKS " \t\r\v\f"

/* Whether a peer's section named a key whose value may be none. */
struct wg_said {
	bool psk, keepalive;
};

struct wg_reader {
	struct omni_wg_quick *wg;
	struct wg_said *said; /* of the peer at the same place */
	const char *file;
	size_t line;
	bool section;		       /* one has begun */
	struct omni_config_peer *peer; /* that the section is about; NULL: the interface */
	bool has_key;
	bool fresh; /* the last line began a section */
	bool noted[WG_KEYS_MAX];
	char comment[OMNI_CONFIG_NAME_LEN]; /* of the line before */
	struct omni_err *err;
};

/* "FILE:LINE: " and the sentence; -EINVAL. */
int wg_fail(const struct wg_reader *r, const char *fmt, ...) OMNI_PRINTF(2, 3);
void wg_note(struct wg_reader *r, const char *fmt, ...) OMNI_PRINTF(2, 3);

/* Cut blanks at both ends, in place. */
char *wg_trim(char *text);

/* Take all blanks away, in place. */
char *wg_squeeze(char *text);

/* A peer's section has ended: it has a key. 0 or -EINVAL. */
int wg_check_peer(const struct wg_reader *r);

/* The file has ended: what is missing, what stands twice, names. 0, -EINVAL, -ENOMEM. */
int wg_finish(struct wg_reader *r);

#endif
