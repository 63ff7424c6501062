/* What Kerases know: sorted tables of words by name. */
#ifndef CN_FORMATS_KERAS_WORDS_H
#define CN_FORMATS_KERAS_WORDS_H

typedef struct cn_keras_words { const char *name, *words; } cn_keras_words; /* the last row has no name */
/* The keys of a layer's config, but for those of every layer: of Keras 3, and of either Keras 2. */
extern const cn_keras_words cn_keras3_keys[], cn_keras2_keys[];
extern const cn_keras_words cn_keras3_modules[]; /* keras.src.ops.<module> of an operation */

#endif
