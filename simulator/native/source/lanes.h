/* A vector of LANES int32 lanes, and what the engines do with one.
 *
 * The multiplier works on words of GROUP operands: an ACT value as operand_t, a weight as weight_t; lanes_dot adds GROUP
 * products to every lane. An operand is an int8 value plus OPERAND_BIAS. Written for AVX512 and AVX2, with the dot products
 * of VNNI where the compiler may use them, and in GNU C for everything else. */
#ifndef LANES_H
#define LANES_H

#include <stdint.h>
#include <string.h>

#if !defined(PORTABLE) && defined(__AVX512BW__) && defined(__AVX512DQ__) && defined(__AVX512VL__)
#define WIDEST 16
#elif !defined(PORTABLE) && defined(__AVX2__)
#define WIDEST 8
#else
#define WIDEST 8
#define PLAIN_C 1
#endif

#if BLOCK_OUT >= 16 && WIDEST == 16
#define LANES 16
#elif BLOCK_OUT >= 8
#define LANES 8
#else
#define LANES 4
#endif
#define CELL_VECTORS (BLOCK_OUT / LANES)

#ifdef PLAIN_C
#include "lanes_plain.h"
#else
#include "lanes_x86.h"
#endif

#endif
