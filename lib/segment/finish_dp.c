/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "headers.h"

bool omni_finish_checksum(uint8_t *frame, uint32_t len, uint16_t start, uint16_t offset)
{
	uint16_t sum;

	if ((uint32_t)start + offset + sizeof(sum) > len)
		return false;
	/* The field holds the sum of the pseudo header, so it is part of what is added. */
	sum = (uint16_t)~omni_sum_fold(omni_sum(frame + start, len - start));
	if (sum == 0 && offset == UDP_SUM)
		sum = 0xffff;
	put_sum(frame + start + offset, sum);
	return true;
}
