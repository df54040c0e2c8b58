# SPDX-License-Identifier: MIT OR Apache-2.0
"""A second implementation of the Omni wire, written from docs/protocol.md; shares no code with C."""
