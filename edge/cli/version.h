/* The version, as `varve version`, the Server field of own answers and varve_build_info show it. */
#pragma once

#define VARVE_VERSION "0.1.0"
