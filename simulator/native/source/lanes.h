/* A vector of int32 lanes, and the dot product of four unsigned with four signed bytes in each.
 *
 * AVX512-VNNI or AVX-VNNI where the compiler may use it, else plain C that compilers vectorise. */
#ifndef LANES_H
#define LANES_H

#include <stdint.h>
#include <string.h>

#if defined(__AVX512VNNI__) && defined(__AVX512VL__)
#define HAVE_DOT 1
#define VECTOR_REGISTERS 32
#define LANES (BLOCK_OUT < 16 ? BLOCK_OUT : 16)
#define DPBUSD_256 _mm256_dpbusd_epi32
#define DPBUSD_128 _mm_dpbusd_epi32
#elif defined(__AVXVNNI__)
#define HAVE_DOT 1
#define VECTOR_REGISTERS 16
#define LANES (BLOCK_OUT < 8 ? BLOCK_OUT : 8)
#define DPBUSD_256 _mm256_dpbusd_avx_epi32
#define DPBUSD_128 _mm_dpbusd_avx_epi32
#else
#define HAVE_DOT 0
#define VECTOR_REGISTERS 16
#define LANES (BLOCK_OUT < 8 ? BLOCK_OUT : 8)
#endif
#define CELL_VECTORS (BLOCK_OUT / LANES)

#if HAVE_DOT
#include <immintrin.h>
#endif

/* Where weight (o, k) of a tile lies in its packed form. */
static inline size_t packed_position(int o, int k)
{
#if HAVE_DOT
    return (size_t)(k / 4) * BLOCK_OUT * 4 + (size_t)o * 4 + k % 4;
#else
    int vector = o / LANES;
    return (size_t)(k / 4) * BLOCK_OUT * 4 + (size_t)vector * LANES * 4 + (size_t)(k % 4) * LANES + o % LANES;
#endif
}

#if HAVE_DOT && LANES == 16
typedef __m512i lanes_t;
static inline lanes_t lanes_load(const void *from) { return _mm512_loadu_si512(from); }
static inline void lanes_store(void *to, lanes_t v) { _mm512_storeu_si512(to, v); }
static inline lanes_t lanes_add(lanes_t a, lanes_t b) { return _mm512_add_epi32(a, b); }
static inline lanes_t lanes_subtract(lanes_t a, lanes_t b) { return _mm512_sub_epi32(a, b); }
static inline lanes_t lanes_dot(lanes_t sum, uint32_t x, lanes_t w)
{
    return _mm512_dpbusd_epi32(sum, _mm512_set1_epi32((int32_t)x), w);
}
#elif HAVE_DOT && LANES == 8
typedef __m256i lanes_t;
static inline lanes_t lanes_load(const void *from) { return _mm256_loadu_si256(from); }
static inline void lanes_store(void *to, lanes_t v) { _mm256_storeu_si256(to, v); }
static inline lanes_t lanes_add(lanes_t a, lanes_t b) { return _mm256_add_epi32(a, b); }
static inline lanes_t lanes_subtract(lanes_t a, lanes_t b) { return _mm256_sub_epi32(a, b); }
static inline lanes_t lanes_dot(lanes_t sum, uint32_t x, lanes_t w)
{
    return DPBUSD_256(sum, _mm256_set1_epi32((int32_t)x), w);
}
#elif HAVE_DOT
typedef __m128i lanes_t;
static inline lanes_t lanes_load(const void *from) { return _mm_loadu_si128(from); }
static inline void lanes_store(void *to, lanes_t v) { _mm_storeu_si128(to, v); }
static inline lanes_t lanes_add(lanes_t a, lanes_t b) { return _mm_add_epi32(a, b); }
static inline lanes_t lanes_subtract(lanes_t a, lanes_t b) { return _mm_sub_epi32(a, b); }
static inline lanes_t lanes_dot(lanes_t sum, uint32_t x, lanes_t w)
{
    return DPBUSD_128(sum, _mm_set1_epi32((int32_t)x), w);
}
#else
typedef struct { uint32_t lane[LANES]; } lanes_t;
static inline lanes_t lanes_load(const void *from)
{
    lanes_t v;
    memcpy(&v, from, sizeof v);
    return v;
}
static inline void lanes_store(void *to, lanes_t v) { memcpy(to, &v, sizeof v); }
static inline lanes_t lanes_add(lanes_t a, lanes_t b)
{
    for (int o = 0; o < LANES; o++)
        a.lane[o] += b.lane[o];
    return a;
}
static inline lanes_t lanes_subtract(lanes_t a, lanes_t b)
{
    for (int o = 0; o < LANES; o++)
        a.lane[o] -= b.lane[o];
    return a;
}
static inline lanes_t lanes_dot(lanes_t sum, uint32_t x, lanes_t w)
{
    int8_t weight[4][LANES];
    uint8_t value[4];
    memcpy(weight, &w, sizeof weight);
    memcpy(value, &x, sizeof value);
    for (int k = 0; k < 4; k++)
        for (int o = 0; o < LANES; o++)
            sum.lane[o] += (uint32_t)((int32_t)value[k] * weight[k][o]);
    return sum;
}
#endif

#endif
