/* Lanes in AVX512 or AVX2 registers. */
#include <immintrin.h>

#if (WIDEST == 16 && defined(__AVX512VNNI__)) || defined(__AVXVNNI__)
#define GROUP 4
#define OPERAND_BIAS 128
typedef uint8_t operand_t;
typedef int8_t weight_t;
#else
#define GROUP 2
#define OPERAND_BIAS 0
typedef int16_t operand_t;
typedef int16_t weight_t;
#endif
typedef uint32_t word_t;

/* Sums and columns of weights that the registers hold, beside one operand and what lanes_dot needs. */
#define SUMS (WIDEST == 16 ? 24 : 12)
#define WEIGHTS (WIDEST == 16 ? 4 : 2)

#if LANES == 16
typedef __m512i lanes_t;
#define SIMD(op) _mm512_##op
#define WHOLE(op) _mm512_##op##_si512
#define SET_64 _mm512_set1_epi64
#elif LANES == 8
typedef __m256i lanes_t;
#define SIMD(op) _mm256_##op
#define WHOLE(op) _mm256_##op##_si256
#define SET_64 _mm256_set1_epi64x
#else
typedef __m128i lanes_t;
#define SIMD(op) _mm_##op
#define WHOLE(op) _mm_##op##_si128
#define SET_64 _mm_set1_epi64x
#endif
typedef lanes_t weights_t;

static inline lanes_t lanes_load(const void *from) { return WHOLE(loadu)(from); }
static inline void lanes_store(void *to, lanes_t v) { WHOLE(storeu)(to, v); }
static inline lanes_t lanes_set(int32_t value) { return SIMD(set1_epi32)(value); }
static inline lanes_t lanes_add(lanes_t a, lanes_t b) { return SIMD(add_epi32)(a, b); }
static inline lanes_t lanes_subtract(lanes_t a, lanes_t b) { return SIMD(sub_epi32)(a, b); }
static inline lanes_t lanes_multiply(lanes_t a, lanes_t b) { return SIMD(mullo_epi32)(a, b); }
static inline lanes_t lanes_max(lanes_t a, lanes_t b) { return SIMD(max_epi32)(a, b); }
static inline lanes_t lanes_min(lanes_t a, lanes_t b) { return SIMD(min_epi32)(a, b); }
static inline lanes_t lanes_and(lanes_t a, lanes_t b) { return WHOLE(and)(a, b); }
static inline lanes_t lanes_shift_left(lanes_t v, lanes_t by) { return SIMD(sllv_epi32)(v, by); }
static inline lanes_t lanes_shift_right(lanes_t v, lanes_t by) { return SIMD(srav_epi32)(v, by); }
static inline lanes_t lanes_negative(lanes_t v) { return SIMD(srai_epi32)(v, 31); }

/* `chosen` where the lane of `choice` is -1, `other` where it is 0. */
static inline lanes_t lanes_choose(lanes_t choice, lanes_t chosen, lanes_t other)
{
    return WHOLE(or)(lanes_and(choice, chosen), WHOLE(andnot)(choice, other));
}

static inline weights_t weights_load(const weight_t *from) { return WHOLE(loadu)((const void *)from); }

static inline lanes_t lanes_dot(lanes_t sum, word_t x, weights_t w)
{
    lanes_t every = lanes_set((int32_t)x);
#if GROUP == 4 && WIDEST == 16
    return SIMD(dpbusd_epi32)(sum, every, w);
#elif GROUP == 4
    return SIMD(dpbusd_avx_epi32)(sum, every, w);
#else
    return lanes_add(sum, SIMD(madd_epi16)(every, w));
#endif
}

#if LANES == 16
static inline lanes_t lanes_load_bytes(const int8_t *from)
{
    return _mm512_cvtepi8_epi32(_mm_loadu_si128((const void *)from));
}
#if GROUP == 4
static inline lanes_t operands_load(const operand_t *from)
{
    return _mm512_cvtepu8_epi32(_mm_loadu_si128((const void *)from));
}
static inline void operands_store(operand_t *to, lanes_t v) { _mm_storeu_si128((void *)to, _mm512_cvtepi32_epi8(v)); }
#else
static inline lanes_t operands_load(const operand_t *from)
{
    return _mm512_cvtepi16_epi32(_mm256_loadu_si256((const void *)from));
}
static inline void operands_store(operand_t *to, lanes_t v) { _mm256_storeu_si256((void *)to, _mm512_cvtepi32_epi16(v)); }
#endif
static inline lanes_t with_odd_lanes(lanes_t even, lanes_t odd) { return _mm512_mask_blend_epi32(0xAAAA, even, odd); }
#elif LANES == 8
static inline lanes_t lanes_load_bytes(const int8_t *from)
{
    return _mm256_cvtepi8_epi32(_mm_loadl_epi64((const void *)from));
}
static inline __m128i halves_of(lanes_t v)
{
    return _mm_packs_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
}
#if GROUP == 4
static inline lanes_t operands_load(const operand_t *from)
{
    return _mm256_cvtepu8_epi32(_mm_loadl_epi64((const void *)from));
}
static inline void operands_store(operand_t *to, lanes_t v)
{
    _mm_storel_epi64((void *)to, _mm_packus_epi16(halves_of(v), halves_of(v)));
}
#else
static inline lanes_t operands_load(const operand_t *from)
{
    return _mm256_cvtepi16_epi32(_mm_loadu_si128((const void *)from));
}
static inline void operands_store(operand_t *to, lanes_t v) { _mm_storeu_si128((void *)to, halves_of(v)); }
#endif
static inline lanes_t with_odd_lanes(lanes_t even, lanes_t odd) { return _mm256_blend_epi32(even, odd, 0xAA); }
#else
static inline lanes_t lanes_load_bytes(const int8_t *from) { return _mm_cvtepi8_epi32(_mm_loadu_si32(from)); }
#if GROUP == 4
static inline lanes_t operands_load(const operand_t *from) { return _mm_cvtepu8_epi32(_mm_loadu_si32(from)); }
static inline void operands_store(operand_t *to, lanes_t v)
{
    __m128i halves = _mm_packs_epi32(v, v);
    _mm_storeu_si32(to, _mm_packus_epi16(halves, halves));
}
#else
static inline lanes_t operands_load(const operand_t *from)
{
    return _mm_cvtepi16_epi32(_mm_loadl_epi64((const void *)from));
}
static inline void operands_store(operand_t *to, lanes_t v) { _mm_storel_epi64((void *)to, _mm_packs_epi32(v, v)); }
#endif
static inline lanes_t with_odd_lanes(lanes_t even, lanes_t odd) { return _mm_blend_epi32(even, odd, 0xA); }
#endif

#if LANES == 16 && GROUP == 4 && BLOCK_IN >= 16
#define PACK_16_BY_4 1
/* Words 0 to 3 of 16 output channels, BLOCK_IN bytes apart, to four vectors BLOCK_OUT words apart. */
static inline void pack_16_by_4(int8_t *to, const uint8_t *from)
{
    const __m512i first = _mm512_setr_epi32(0, 4, 8, 12, 16, 20, 24, 28, 1, 5, 9, 13, 17, 21, 25, 29);
    const __m512i second = _mm512_add_epi32(first, _mm512_set1_epi32(2));
    __m512i four[4];
    for (int i = 0; i < 4; i++) {
        uint8_t channels[64];
        for (int o = 0; o < 4; o++)
            memcpy(channels + 16 * o, from + (4 * i + o) * BLOCK_IN, 16);
        four[i] = _mm512_loadu_si512(channels);
    }
    __m512i a = _mm512_permutex2var_epi32(four[0], first, four[1]), b = _mm512_permutex2var_epi32(four[2], first, four[3]);
    __m512i c = _mm512_permutex2var_epi32(four[0], second, four[1]), d = _mm512_permutex2var_epi32(four[2], second, four[3]);
    _mm512_storeu_si512(to, _mm512_shuffle_i64x2(a, b, 0x44));
    _mm512_storeu_si512(to + BLOCK_OUT * 4, _mm512_shuffle_i64x2(a, b, 0xEE));
    _mm512_storeu_si512(to + BLOCK_OUT * 8, _mm512_shuffle_i64x2(c, d, 0x44));
    _mm512_storeu_si512(to + BLOCK_OUT * 12, _mm512_shuffle_i64x2(c, d, 0xEE));
}
#endif

/* A factor and a shift from 1 to 62 for each lane, in the form in which 64-bit products want them. */
struct scaling {
    lanes_t even, odd, even_shift, odd_shift, even_half, odd_half;
};

static inline struct scaling scaling_of(lanes_t factor, lanes_t shift)
{
    lanes_t one = SET_64(1), even_shift = lanes_and(shift, SET_64(UINT32_MAX)), odd_shift = SIMD(srli_epi64)(shift, 32);
    return (struct scaling){
        .even = factor, .odd = SIMD(srli_epi64)(factor, 32), .even_shift = even_shift, .odd_shift = odd_shift,
        .even_half = SIMD(sllv_epi64)(one, SIMD(sub_epi64)(even_shift, one)),
        .odd_half = SIMD(sllv_epi64)(one, SIMD(sub_epi64)(odd_shift, one)),
    };
}

/* (v * factor + 2^(s - 1)) / 2^s with s = MULTIPLIER_BITS - 1, rounded down, modulo 2^32. */
static inline lanes_t lanes_high_product(lanes_t v, const struct scaling *by)
{
    lanes_t half = SET_64((int64_t)1 << (MULTIPLIER_BITS - 2));
    lanes_t even = SIMD(add_epi64)(SIMD(mul_epi32)(v, by->even), half);
    lanes_t odd = SIMD(add_epi64)(SIMD(mul_epi32)(SIMD(srli_epi64)(v, 32), by->odd), half);
    return with_odd_lanes(SIMD(srli_epi64)(even, MULTIPLIER_BITS - 1), SIMD(slli_epi64)(odd, 33 - MULTIPLIER_BITS));
}

static inline lanes_t shift_right_64(lanes_t v, lanes_t by)
{
#if WIDEST == 16
    return SIMD(srav_epi64)(v, by);
#else
    lanes_t sign = SET_64(INT64_MIN);
    return SIMD(sub_epi64)(SIMD(srlv_epi64)(WHOLE(xor)(v, sign), by), SIMD(srlv_epi64)(sign, by));
#endif
}

/* The same with the shift s of each lane. */
static inline lanes_t lanes_far_product(lanes_t v, const struct scaling *by)
{
    lanes_t even = SIMD(add_epi64)(SIMD(mul_epi32)(v, by->even), by->even_half);
    lanes_t odd = SIMD(add_epi64)(SIMD(mul_epi32)(SIMD(srli_epi64)(v, 32), by->odd), by->odd_half);
    odd = SIMD(slli_epi64)(shift_right_64(odd, by->odd_shift), 32);
    return with_odd_lanes(shift_right_64(even, by->even_shift), odd);
}
