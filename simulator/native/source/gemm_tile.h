/* A register tile of the blocked product: TILE_ROWS rows by TILE_COLUMNS columns, from row r and column c on.
 *
 * Included once for each size, with the function's name in TILE; every loop over the sums has a constant
 * bound, so that they stay in registers. `excess` is what the bias of the activations adds to each column. */
static void TILE(const struct part *p, uint32_t r, uint32_t c, int32_t (*excess)[BLOCK_OUT])
{
    struct machine *m = p->m;
    const uint8_t *x[TILE_ROWS];
    const int8_t *w[TILE_COLUMNS];
    lanes_t sum[TILE_ROWS][TILE_COLUMNS][CELL_VECTORS];
#define CELL(i, j) cell_at(m, p->acc + m->rows.acc[r + (i)] + m->columns.acc[c + (j)])
#define EACH(variable, bound) _Pragma("GCC unroll 32") for (int variable = 0; variable < (bound); variable++)
    EACH(j, TILE_COLUMNS)
        w[j] = m->wgt_packed[p->wgt + m->columns.wgt[c + j]];
    EACH(i, TILE_ROWS) {
        x[i] = &m->act_biased[0][0] + (p->act + m->rows.act[r + i]);
        EACH(j, TILE_COLUMNS)
            EACH(v, CELL_VECTORS)
                sum[i][j][v] = lanes_subtract(lanes_load(CELL(i, j) + v * LANES), lanes_load(excess[j] + v * LANES));
    }
    for (uint32_t n = 0; n < p->reduction; n++) {
        ptrdiff_t act = m->reduction_act[n], wgt = (ptrdiff_t)m->reduction_wgt[n] * (ptrdiff_t)TILE_BYTES;
        for (int k = 0; k < BLOCK_IN / 4; k++) {
            lanes_t weight[TILE_COLUMNS][CELL_VECTORS];
            EACH(j, TILE_COLUMNS)
                EACH(v, CELL_VECTORS)
                    weight[j][v] = lanes_load(w[j] + wgt + (k * CELL_VECTORS + v) * LANES * 4);
            EACH(i, TILE_ROWS) {
                uint32_t four;
                memcpy(&four, x[i] + act + 4 * k, 4);
                EACH(j, TILE_COLUMNS)
                    EACH(v, CELL_VECTORS)
                        sum[i][j][v] = lanes_dot(sum[i][j][v], four, weight[j][v]);
            }
        }
    }
    EACH(i, TILE_ROWS)
        EACH(j, TILE_COLUMNS)
            EACH(v, CELL_VECTORS)
                lanes_store(CELL(i, j) + v * LANES, sum[i][j][v]);
#undef CELL
#undef EACH
}
#undef TILE
#undef TILE_ROWS
#undef TILE_COLUMNS
