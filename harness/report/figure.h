/*
 * figure.h - one gnuplot figure: a script and a data file in the report's folder, and the run of
 * gnuplot that makes <name>.png and <name>.svg of them. Private to harness/report.
 *
 * The script takes "svg" as its argument and makes a PNG otherwise, so a person can run it again:
 * gnuplot -c cdf.gp svg. Data blocks are separated by two empty lines and addressed by `index`.
 */
#ifndef RYZ_HARNESS_REPORT_FIGURE_H
#define RYZ_HARNESS_REPORT_FIGURE_H

#include "engine/base/status.h"
#include "harness/record/results_read.h"
#include "harness/report/report.h"

#include <stdint.h>
#include <stdio.h>

/* Colours that colour-blind people can tell apart (Okabe and Ito), as gnuplot strings. */
#define RYZ_BLUE   "#0072B2"
#define RYZ_ORANGE "#E69F00"
#define RYZ_GREEN  "#009E73"
#define RYZ_RED    "#D55E00"
#define RYZ_PURPLE "#CC79A7"
#define RYZ_SKY    "#56B4E9"
#define RYZ_GREY   "#7F7F7F"

/* The i-th curve's colour, cyclic; red is kept for failures and faults. */
const char *ryz_colour(uint32_t i);

struct ryz_figure {
    char folder[512];
    char name[32];
    FILE *gp, *data;
    uint32_t blocks;   /* data blocks begun so far */
    long block_begins; /* place in the data file after the last block's comment */
};

/* What stands under every figure. */
struct ryz_caption {
    char title[192], text[320];
};
void ryz_caption_make(const struct ryz_results *results, const struct ryz_run_info *info,
                      struct ryz_caption *caption);

/* Opens <folder>/<name>.gp and .dat and writes the head: terminal, fonts, title, caption. */
RYZ_MUST_USE enum ryz_status ryz_figure_begin(struct ryz_figure *figure, const char *folder,
                                              const char *name, const struct ryz_caption *caption,
                                              const char *subtitle, struct ryz_error *error);
/* Begins the next data block with a comment that says what is in it, and returns its index. A block
 * that gets no rows is written as one row of NaN, for gnuplot does not count empty ones. */
uint32_t ryz_figure_block(struct ryz_figure *figure, const char *format, ...) RYZ_PRINTF(2, 3);
/* Writes text as one quoted column of a data row; what could end it is replaced. */
void ryz_figure_column(FILE *data, const char *text);
/* Writes text as a gnuplot string literal, quotes included; control characters are left out. */
void ryz_figure_quote(FILE *out, const char *text);
/* Shades the times of faults in panels to come and names them, times in seconds. `top` is the
 * graph height of the names; negative: no names. */
void ryz_figure_faults(struct ryz_figure *figure, const struct ryz_run_data *data, double top);
/* Major tics 1, 2, 5, 10 ... of a logarithmic axis ("x" or "y") between two positive ends. */
void ryz_figure_log_tics(struct ryz_figure *figure, const char *axis, double from, double to);
/* One entry of a legend in two columns of four at the figure's foot, in the curve's colour. */
void ryz_figure_legend(struct ryz_figure *figure, uint32_t i, const char *title, bool dashed,
                       const char *colour);
/* "engine.quant=q8_0 engine.max_batch=4" as "quant=q8_0 max_batch=4". */
void ryz_short_label(const char *label, char *text, size_t capacity);
/* Finishes both files and runs gnuplot twice; counts in *result. */
RYZ_MUST_USE enum ryz_status
ryz_figure_end(struct ryz_figure *figure, struct ryz_plot_result *result, struct ryz_error *error);
/* Gives the figure up and removes its files. */
void ryz_figure_abandon(struct ryz_figure *figure);

#endif
