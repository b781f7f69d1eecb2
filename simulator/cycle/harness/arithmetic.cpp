// The matrix engine's arithmetic, called by the Verilog of the quick simulation (see twins.py).

#include <cstdint>
#include <cstring>

#if defined(__AVX512VNNI__)
#include <immintrin.h>
#endif

namespace {

constexpr int kRows = TILEWRIGHT_ROWS, kIn = TILEWRIGHT_BLOCK_IN, kOut = TILEWRIGHT_BLOCK_OUT;
constexpr int kQuads = kIn * kOut / 4;

// partial[i]: the products of bytes 4i to 4i+3 of the tile, summed.
void multiply(const int8_t *act, const int8_t *wgt, int32_t *partial) {
#if defined(__AVX512VNNI__)
    if constexpr (kQuads % 16 == 0) {
        alignas(64) int8_t repeated[64];
        for (int k = 0; k < 64; k += kIn) std::memcpy(repeated + k, act, kIn);
        // The instruction multiplies unsigned by signed bytes: 128 is added before and taken off afterwards.
        const __m512i offset = _mm512_set1_epi8(-128);
        const __m512i shifted = _mm512_xor_si512(_mm512_load_si512(repeated), offset);
        for (int i = 0; i < kQuads; i += 16) {
            const __m512i tile = _mm512_loadu_si512(wgt + 4 * i);
            const __m512i sum = _mm512_dpbusd_epi32(_mm512_setzero_si512(), shifted, tile);
            const __m512i extra = _mm512_dpbusd_epi32(_mm512_setzero_si512(), offset, tile);
            _mm512_storeu_si512(partial + i, _mm512_sub_epi32(sum, extra));
        }
        return;
    }
#endif
    for (int i = 0; i < kQuads; ++i) {
        partial[i] = 0;
        for (int k = 4 * i; k < 4 * i + 4; ++k) partial[i] += act[k % kIn] * wgt[k];
    }
}

template <int count> void add_neighbours(const int32_t *values, int32_t *sums) {
    if constexpr (count == kOut) {
        std::memcpy(sums, values, sizeof(int32_t) * kOut);
    } else {
        alignas(64) int32_t half[count / 2];
        for (int i = 0; i < count / 2; ++i) half[i] = values[2 * i] + values[2 * i + 1];
        add_neighbours<count / 2>(half, sums);
    }
}

}  // namespace

// sums[row][o]: row `row` of activations times row o of the tile.
extern "C" void tilewright_dot_products(const uint32_t *act, const uint32_t *wgt, uint32_t *sums) {
    for (int row = 0; row < kRows; ++row) {
        alignas(64) int32_t partial[kQuads];
        multiply(reinterpret_cast<const int8_t *>(act) + row * kIn, reinterpret_cast<const int8_t *>(wgt), partial);
        add_neighbours<kQuads>(partial, reinterpret_cast<int32_t *>(sums) + row * kOut);
    }
}

extern "C" void tilewright_add(const uint32_t *old, const uint32_t *sums, uint32_t *updated) {
    for (int i = 0; i < kRows * kOut; ++i) updated[i] = old[i] + sums[i];
}
