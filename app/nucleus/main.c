/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <omni_nucleus_app.h>

int main(int argc, char **argv)
{
	return omni_nucleus_main(argc, argv);
}
