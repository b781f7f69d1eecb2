// Dot products of activations and a weight tile.
#pragma once

#include <cstdint>
#include <cstring>

#if defined(__AVX512VNNI__)
#include <immintrin.h>
#endif

namespace tilewright {

// sums[o] = Σ act[k] · wgt[o][k], for a tile of `outputs` rows of `inputs` bytes.
template <int inputs, int outputs> class Products {
  public:
    static void compute(const int8_t *act, const int8_t *wgt, int32_t *sums) {
        alignas(64) int32_t partial[kQuads];
        multiply(act, wgt, partial);
        add_neighbours<kQuads>(partial, sums);
    }

  private:
    static constexpr int kQuads = inputs * outputs / 4;

    // partial[i]: the products of bytes 4i to 4i+3 of the tile, summed.
    static void multiply(const int8_t *act, const int8_t *wgt, int32_t *partial) {
#if defined(__AVX512VNNI__)
        if constexpr (kQuads % 16 == 0 && inputs <= 64) {
            alignas(64) int8_t repeated[64];
            for (int k = 0; k < 64; k += inputs) std::memcpy(repeated + k, act, inputs);
            // The instruction multiplies unsigned by signed bytes: 128 is added before and taken off afterwards.
            const __m512i offset = _mm512_set1_epi8(-128);
            const __m512i shifted = _mm512_xor_si512(_mm512_load_si512(repeated), offset);
            for (int i = 0; i < kQuads; i += 16) {
                const __m512i tile = _mm512_loadu_si512(wgt + 4 * i);
                const __m512i sum = _mm512_dpbusd_epi32(_mm512_setzero_si512(), shifted, tile);
                const __m512i extra = _mm512_dpbusd_epi32(_mm512_setzero_si512(), offset, tile);
                _mm512_store_si512(partial + i, _mm512_sub_epi32(sum, extra));
            }
            return;
        }
#endif
        for (int i = 0; i < kQuads; ++i) {
            partial[i] = 0;
            for (int k = 4 * i; k < 4 * i + 4; ++k) partial[i] += act[k % inputs] * wgt[k];
        }
    }

    template <int count> static void add_neighbours(const int32_t *values, int32_t *sums) {
        if constexpr (count == outputs) {
            std::memcpy(sums, values, sizeof(int32_t) * outputs);
        } else {
            alignas(64) int32_t half[count / 2];
            for (int i = 0; i < count / 2; ++i) half[i] = values[2 * i] + values[2 * i + 1];
            add_neighbours<count / 2>(half, sums);
        }
    }
};

}  // namespace tilewright
