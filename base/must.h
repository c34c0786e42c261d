/* MUST(condition): a check of our own reasoning, kept in release builds. Never for input, network,
 * disk or memory. */
#pragma once

_Noreturn void must_fail(const char *condition, const char *file, int line);

#define MUST(condition) ((condition) ? (void)0 : must_fail(#condition, __FILE__, __LINE__))
