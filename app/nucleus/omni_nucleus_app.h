/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The Nucleus as a program: omni-nucleus, and dpdk-omni --mode nucleus. */
#ifndef OMNI_NUCLEUS_APP_H
#define OMNI_NUCLEUS_APP_H

/*
 * Run a Nucleus until SIGTERM or SIGINT. argv as main() has it: argv[0] is skipped. Returns the
 * exit status: 0 stopped (or --help, --version), 1 could not run, 2 wrong options or files.
 * Main thread, once.
 */
int omni_nucleus_main(int argc, char **argv);

#endif
