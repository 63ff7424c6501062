/* Made by scripts/make_keras_words.py. */
#include "formats/keras_words.h"

const cn_keras_words cn_keras3_keys[] = {
    {"Activation", "activation"},
    {"ActivityRegularization", "l1 l2"},
    {"AdaptiveAveragePooling1D", "output_size data_format"},
    {"AdaptiveAveragePooling2D", "output_size data_format"},
    {"AdaptiveAveragePooling3D", "output_size data_format"},
    {"AdaptiveMaxPooling1D", "output_size data_format"},
    {"AdaptiveMaxPooling2D", "output_size data_format"},
    {"AdaptiveMaxPooling3D", "output_size data_format"},
    {"Add", ""},
    {"AdditiveAttention", "use_scale dropout score_mode seed"},
    {"AlphaDropout", "rate noise_shape seed"},
    {"Attention", "use_scale score_mode dropout seed"},
    {"AugMix", "value_range num_chains chain_depth factor alpha all_ops interpolation seed data_format "
     "bounding_box_format"},
    {"AutoContrast", "value_range factor bounding_box_format data_format"},
    {"Average", ""},
    {"AveragePooling1D", "pool_size strides padding data_format pool_dimensions pool_mode"},
    {"AveragePooling2D", "pool_size strides padding data_format pool_dimensions pool_mode"},
    {"AveragePooling3D", "pool_size strides padding data_format pool_dimensions pool_mode"},
    {"AvgPool1D", "pool_size strides padding data_format pool_dimensions pool_mode"},
    {"AvgPool2D", "pool_size strides padding data_format pool_dimensions pool_mode"},
    {"AvgPool3D", "pool_size strides padding data_format pool_dimensions pool_mode"},
    {"BatchNormalization", "axis momentum epsilon center scale beta_initializer gamma_initializer "
     "moving_mean_initializer moving_variance_initializer beta_regularizer gamma_regularizer beta_constraint "
     "gamma_constraint renorm renorm_clipping renorm_momentum synchronized"},
    {"Bidirectional", "layer merge_mode weights backward_layer"},
    {"CategoryEncoding", "num_tokens output_mode sparse"},
    {"CenterCrop", "height width data_format factor bounding_box_format"},
    {"Concatenate", "axis"},
    {"ContrastLimitedAdaptiveHistogramEqualization", "value_range clip_limit tile_grid_size data_format factor "
     "bounding_box_format"},
    {"Conv1D", "filters kernel_size strides padding data_format dilation_rate groups activation use_bias "
     "kernel_initializer bias_initializer kernel_regularizer bias_regularizer kernel_constraint bias_constraint "
     "rank lora_rank lora_alpha"},
    {"Conv1DTranspose", "filters kernel_size strides padding output_padding data_format dilation_rate "
     "activation use_bias kernel_initializer bias_initializer kernel_regularizer bias_regularizer "
     "kernel_constraint bias_constraint rank"},
    {"Conv2D", "filters kernel_size strides padding data_format dilation_rate groups activation use_bias "
     "kernel_initializer bias_initializer kernel_regularizer bias_regularizer kernel_constraint bias_constraint "
     "rank lora_rank lora_alpha"},
    {"Conv2DTranspose", "filters kernel_size strides padding output_padding data_format dilation_rate "
     "activation use_bias kernel_initializer bias_initializer kernel_regularizer bias_regularizer "
     "kernel_constraint bias_constraint rank"},
    {"Conv3D", "filters kernel_size strides padding data_format dilation_rate groups activation use_bias "
     "kernel_initializer bias_initializer kernel_regularizer bias_regularizer kernel_constraint bias_constraint "
     "rank lora_rank lora_alpha"},
    {"Conv3DTranspose", "filters kernel_size strides padding data_format output_padding dilation_rate "
     "activation use_bias kernel_initializer bias_initializer kernel_regularizer bias_regularizer "
     "kernel_constraint bias_constraint rank"},
    {"ConvLSTM1D", "filters kernel_size strides padding data_format dilation_rate activation "
     "recurrent_activation use_bias kernel_initializer recurrent_initializer bias_initializer unit_forget_bias "
     "kernel_regularizer recurrent_regularizer bias_regularizer kernel_constraint recurrent_constraint "
     "bias_constraint dropout recurrent_dropout seed return_sequences return_state go_backwards stateful rank "
     "cell unroll zero_output_for_mask"},
    {"ConvLSTM2D", "filters kernel_size strides padding data_format dilation_rate activation "
     "recurrent_activation use_bias kernel_initializer recurrent_initializer bias_initializer unit_forget_bias "
     "kernel_regularizer recurrent_regularizer bias_regularizer kernel_constraint recurrent_constraint "
     "bias_constraint dropout recurrent_dropout seed return_sequences return_state go_backwards stateful rank "
     "cell unroll zero_output_for_mask"},
    {"ConvLSTM3D", "filters kernel_size strides padding data_format dilation_rate activation "
     "recurrent_activation use_bias kernel_initializer recurrent_initializer bias_initializer unit_forget_bias "
     "kernel_regularizer recurrent_regularizer bias_regularizer kernel_constraint recurrent_constraint "
     "bias_constraint dropout recurrent_dropout seed return_sequences return_state go_backwards stateful rank "
     "cell unroll zero_output_for_mask"},
    {"Convolution1D", "filters kernel_size strides padding data_format dilation_rate groups activation use_bias "
     "kernel_initializer bias_initializer kernel_regularizer bias_regularizer kernel_constraint bias_constraint "
     "rank lora_rank lora_alpha"},
    {"Convolution1DTranspose", "filters kernel_size strides padding output_padding data_format dilation_rate "
     "activation use_bias kernel_initializer bias_initializer kernel_regularizer bias_regularizer "
     "kernel_constraint bias_constraint rank"},
    {"Convolution2D", "filters kernel_size strides padding data_format dilation_rate groups activation use_bias "
     "kernel_initializer bias_initializer kernel_regularizer bias_regularizer kernel_constraint bias_constraint "
     "rank lora_rank lora_alpha"},
    {"Convolution2DTranspose", "filters kernel_size strides padding output_padding data_format dilation_rate "
     "activation use_bias kernel_initializer bias_initializer kernel_regularizer bias_regularizer "
     "kernel_constraint bias_constraint rank"},
    {"Convolution3D", "filters kernel_size strides padding data_format dilation_rate groups activation use_bias "
     "kernel_initializer bias_initializer kernel_regularizer bias_regularizer kernel_constraint bias_constraint "
     "rank lora_rank lora_alpha"},
    {"Convolution3DTranspose", "filters kernel_size strides padding data_format output_padding dilation_rate "
     "activation use_bias kernel_initializer bias_initializer kernel_regularizer bias_regularizer "
     "kernel_constraint bias_constraint rank"},
    {"Cropping1D", "cropping"},
    {"Cropping2D", "cropping data_format"},
    {"Cropping3D", "cropping data_format"},
    {"CutMix", "factor seed data_format bounding_box_format"},
    {"CustomScaleLayer", "scale"},
    {"Dense", "units activation use_bias kernel_initializer bias_initializer kernel_regularizer "
     "bias_regularizer kernel_constraint bias_constraint lora_rank lora_alpha quantization_config"},
    {"DepthwiseConv1D", "kernel_size strides padding depth_multiplier data_format dilation_rate activation "
     "use_bias depthwise_initializer bias_initializer depthwise_regularizer bias_regularizer "
     "depthwise_constraint bias_constraint rank"},
    {"DepthwiseConv2D", "kernel_size strides padding depth_multiplier data_format dilation_rate activation "
     "use_bias depthwise_initializer bias_initializer depthwise_regularizer bias_regularizer "
     "depthwise_constraint bias_constraint rank"},
    {"Discretization", "bin_boundaries num_bins epsilon output_mode sparse !trainable"},
    {"Dot", "axes normalize"},
    {"Dropout", "rate noise_shape seed"},
    {"ELU", "alpha"},
    {"EinsumDense", "equation output_shape activation bias_axes kernel_initializer bias_initializer "
     "kernel_regularizer bias_regularizer kernel_constraint bias_constraint lora_rank lora_alpha "
     "gptq_unpacked_column_size quantization_config"},
    {"Embedding", "input_dim output_dim embeddings_initializer embeddings_regularizer embeddings_constraint "
     "mask_zero weights lora_rank lora_alpha quantization_config"},
    {"Equalization", "value_range bins data_format factor bounding_box_format"},
    {"Flatten", "data_format"},
    {"FlaxLayer", "module method variables call_fn init_fn params state seed native_serialization_platforms"},
    {"GRU", "units activation recurrent_activation use_bias kernel_initializer recurrent_initializer "
     "bias_initializer kernel_regularizer recurrent_regularizer bias_regularizer kernel_constraint "
     "recurrent_constraint bias_constraint dropout recurrent_dropout seed return_sequences return_state "
     "go_backwards stateful unroll reset_after use_cudnn cell zero_output_for_mask"},
    {"GRUCell", "units activation recurrent_activation use_bias kernel_initializer recurrent_initializer "
     "bias_initializer kernel_regularizer recurrent_regularizer bias_regularizer kernel_constraint "
     "recurrent_constraint bias_constraint dropout recurrent_dropout reset_after seed"},
    {"GaussianDropout", "rate seed"},
    {"GaussianNoise", "stddev seed"},
    {"GlobalAveragePooling1D", "data_format keepdims pool_dimensions"},
    {"GlobalAveragePooling2D", "data_format keepdims pool_dimensions"},
    {"GlobalAveragePooling3D", "data_format keepdims pool_dimensions"},
    {"GlobalAvgPool1D", "data_format keepdims pool_dimensions"},
    {"GlobalAvgPool2D", "data_format keepdims pool_dimensions"},
    {"GlobalAvgPool3D", "data_format keepdims pool_dimensions"},
    {"GlobalMaxPool1D", "data_format keepdims pool_dimensions"},
    {"GlobalMaxPool2D", "data_format keepdims pool_dimensions"},
    {"GlobalMaxPool3D", "data_format keepdims pool_dimensions"},
    {"GlobalMaxPooling1D", "data_format keepdims pool_dimensions"},
    {"GlobalMaxPooling2D", "data_format keepdims pool_dimensions"},
    {"GlobalMaxPooling3D", "data_format keepdims pool_dimensions"},
    {"GroupNormalization", "groups axis epsilon center scale beta_initializer gamma_initializer "
     "beta_regularizer gamma_regularizer beta_constraint gamma_constraint"},
    {"GroupQueryAttention", "head_dim num_query_heads num_key_value_heads dropout use_bias sliding_window "
     "flash_attention kernel_initializer bias_initializer kernel_regularizer bias_regularizer kernel_constraint "
     "bias_constraint use_gate seed"},
    {"HashedCrossing", "num_bins output_mode sparse"},
    {"Hashing", "num_bins mask_value salt output_mode sparse"},
    {"Identity", ""},
    {"InputLayer", "shape batch_size sparse ragged batch_shape input_tensor optional"},
    {"IntegerLookup", "max_tokens num_oov_indices mask_token oov_token vocabulary vocabulary_dtype idf_weights "
     "invert output_mode sparse pad_to_max_tokens oov_method salt"},
    {"JaxLayer", "call_fn init_fn params state seed native_serialization_platforms"},
    {"LSTM", "units activation recurrent_activation use_bias kernel_initializer recurrent_initializer "
     "bias_initializer unit_forget_bias kernel_regularizer recurrent_regularizer bias_regularizer "
     "kernel_constraint recurrent_constraint bias_constraint dropout recurrent_dropout seed return_sequences "
     "return_state go_backwards stateful unroll use_cudnn cell zero_output_for_mask"},
    {"LSTMCell", "units activation recurrent_activation use_bias kernel_initializer recurrent_initializer "
     "bias_initializer unit_forget_bias kernel_regularizer recurrent_regularizer bias_regularizer "
     "kernel_constraint recurrent_constraint bias_constraint dropout recurrent_dropout seed"},
    {"Lambda", "function output_shape mask arguments"},
    {"Layer", ""},
    {"LayerNormalization", "axis epsilon center scale beta_initializer gamma_initializer beta_regularizer "
     "gamma_regularizer beta_constraint gamma_constraint"},
    {"LeakyReLU", "negative_slope"},
    {"Masking", "mask_value"},
    {"MaxNumBoundingBoxes", "max_number fill_value factor bounding_box_format data_format"},
    {"MaxPool1D", "pool_size strides padding data_format pool_dimensions pool_mode"},
    {"MaxPool2D", "pool_size strides padding data_format pool_dimensions pool_mode"},
    {"MaxPool3D", "pool_size strides padding data_format pool_dimensions pool_mode"},
    {"MaxPooling1D", "pool_size strides padding data_format pool_dimensions pool_mode"},
    {"MaxPooling2D", "pool_size strides padding data_format pool_dimensions pool_mode"},
    {"MaxPooling3D", "pool_size strides padding data_format pool_dimensions pool_mode"},
    {"Maximum", ""},
    {"MelSpectrogram", "fft_length sequence_stride sequence_length window sampling_rate num_mel_bins min_freq "
     "max_freq power_to_db top_db mag_exp min_power ref_power"},
    {"Minimum", ""},
    {"MixUp", "alpha data_format seed factor bounding_box_format"},
    {"MultiHeadAttention", "num_heads key_dim value_dim dropout use_bias output_shape attention_axes "
     "sliding_window flash_attention kernel_initializer bias_initializer kernel_regularizer bias_regularizer "
     "kernel_constraint bias_constraint use_gate seed"},
    {"Multiply", ""},
    {"Normalization", "axis mean variance invert"},
    {"PReLU", "alpha_initializer alpha_regularizer alpha_constraint shared_axes"},
    {"Permute", "dims"},
    {"Pipeline", "layers !trainable"},
    {"RMSNormalization", "axis epsilon"},
    {"RNN", "cell return_sequences return_state go_backwards stateful unroll zero_output_for_mask"},
    {"RandAugment", "value_range num_ops factor interpolation seed data_format bounding_box_format"},
    {"RandomBrightness", "factor value_range seed bounding_box_format data_format"},
    {"RandomColorDegeneration", "factor value_range data_format seed bounding_box_format"},
    {"RandomColorJitter", "value_range brightness_factor contrast_factor saturation_factor hue_factor seed "
     "data_format factor bounding_box_format"},
    {"RandomContrast", "factor value_range seed bounding_box_format data_format"},
    {"RandomCrop", "height width seed data_format factor bounding_box_format"},
    {"RandomElasticTransform", "factor scale interpolation fill_mode fill_value value_range seed data_format "
     "bounding_box_format"},
    {"RandomErasing", "factor scale fill_value value_range seed data_format bounding_box_format"},
    {"RandomFlip", "mode seed data_format factor bounding_box_format"},
    {"RandomGaussianBlur", "factor kernel_size sigma value_range data_format seed bounding_box_format"},
    {"RandomGrayscale", "factor data_format seed bounding_box_format"},
    {"RandomHue", "factor value_range data_format seed bounding_box_format"},
    {"RandomInvert", "factor value_range seed data_format bounding_box_format"},
    {"RandomPerspective", "factor scale interpolation fill_value seed data_format bounding_box_format"},
    {"RandomPosterization", "factor value_range data_format seed bounding_box_format"},
    {"RandomRotation", "factor fill_mode interpolation seed fill_value data_format bounding_box_format"},
    {"RandomSaturation", "factor value_range data_format seed bounding_box_format"},
    {"RandomSharpness", "factor value_range data_format seed bounding_box_format"},
    {"RandomShear", "x_factor y_factor interpolation fill_mode fill_value data_format seed factor "
     "bounding_box_format"},
    {"RandomTranslation", "height_factor width_factor fill_mode interpolation seed fill_value data_format "
     "factor bounding_box_format"},
    {"RandomZoom", "height_factor width_factor fill_mode interpolation seed fill_value data_format factor "
     "bounding_box_format"},
    {"ReLU", "max_value negative_slope threshold"},
    {"RepeatVector", "n"},
    {"Rescaling", "scale offset"},
    {"Reshape", "target_shape"},
    {"Resizing", "height width interpolation crop_to_aspect_ratio pad_to_aspect_ratio fill_mode fill_value "
     "antialias data_format factor bounding_box_format"},
    {"ReversibleEmbedding", "input_dim output_dim tie_weights embeddings_initializer embeddings_regularizer "
     "embeddings_constraint mask_zero reverse_dtype logit_soft_cap weights lora_rank lora_alpha "
     "quantization_config"},
    {"STFTSpectrogram", "mode frame_length frame_step fft_length window periodic scaling padding expand_dims "
     "data_format"},
    {"SeparableConv1D", "filters kernel_size strides padding data_format dilation_rate depth_multiplier "
     "activation use_bias depthwise_initializer pointwise_initializer bias_initializer depthwise_regularizer "
     "pointwise_regularizer bias_regularizer depthwise_constraint pointwise_constraint bias_constraint rank"},
    {"SeparableConv2D", "filters kernel_size strides padding data_format dilation_rate depth_multiplier "
     "activation use_bias depthwise_initializer pointwise_initializer bias_initializer depthwise_regularizer "
     "pointwise_regularizer bias_regularizer depthwise_constraint pointwise_constraint bias_constraint rank"},
    {"SeparableConvolution1D", "filters kernel_size strides padding data_format dilation_rate depth_multiplier "
     "activation use_bias depthwise_initializer pointwise_initializer bias_initializer depthwise_regularizer "
     "pointwise_regularizer bias_regularizer depthwise_constraint pointwise_constraint bias_constraint rank"},
    {"SeparableConvolution2D", "filters kernel_size strides padding data_format dilation_rate depth_multiplier "
     "activation use_bias depthwise_initializer pointwise_initializer bias_initializer depthwise_regularizer "
     "pointwise_regularizer bias_regularizer depthwise_constraint pointwise_constraint bias_constraint rank"},
    {"SimpleRNN", "units activation use_bias kernel_initializer recurrent_initializer bias_initializer "
     "kernel_regularizer recurrent_regularizer bias_regularizer kernel_constraint recurrent_constraint "
     "bias_constraint dropout recurrent_dropout return_sequences return_state go_backwards stateful unroll seed "
     "cell zero_output_for_mask"},
    {"SimpleRNNCell", "units activation use_bias kernel_initializer recurrent_initializer bias_initializer "
     "kernel_regularizer recurrent_regularizer bias_regularizer kernel_constraint recurrent_constraint "
     "bias_constraint dropout recurrent_dropout seed"},
    {"Softmax", "axis"},
    {"Solarization", "addition_factor threshold_factor value_range seed factor bounding_box_format data_format"},
    {"SpatialDropout1D", "rate seed !trainable"},
    {"SpatialDropout2D", "rate data_format seed !trainable"},
    {"SpatialDropout3D", "rate data_format seed !trainable"},
    {"SpectralNormalization", "layer power_iterations"},
    {"StackedRNNCells", "cells"},
    {"StringLookup", "max_tokens num_oov_indices mask_token oov_token vocabulary idf_weights invert output_mode "
     "pad_to_max_tokens sparse encoding salt vocabulary_dtype oov_method"},
    {"Subtract", ""},
    {"TFSMLayer", "filepath call_endpoint call_training_endpoint"},
    {"TextVectorization", "max_tokens standardize split ngrams output_mode output_sequence_length "
     "pad_to_max_tokens vocabulary idf_weights sparse ragged encoding"},
    {"TimeDistributed", "layer"},
    {"TorchModuleWrapper", "module output_shape"},
    {"UnitNormalization", "axis"},
    {"UpSampling1D", "size"},
    {"UpSampling2D", "size data_format interpolation"},
    {"UpSampling3D", "size data_format"},
    {"Wrapper", "layer"},
    {"ZeroPadding1D", "padding data_format"},
    {"ZeroPadding2D", "padding data_format"},
    {"ZeroPadding3D", "padding data_format"},
    {0}};

const cn_keras_words cn_keras2_keys[] = {
    {"AbstractRNNCell", ""},
    {"Activation", "activation"},
    {"ActivityRegularization", "l1 l2"},
    {"Add", ""},
    {"AdditiveAttention", "use_scale dropout seed force_generator rng_type"},
    {"AlphaDropout", "rate noise_shape seed force_generator rng_type"},
    {"Attention", "use_scale score_mode dropout seed force_generator rng_type"},
    {"Average", ""},
    {"AveragePooling1D", "pool_size strides padding data_format pool_function"},
    {"AveragePooling2D", "pool_size strides padding data_format pool_function"},
    {"AveragePooling3D", "pool_size strides padding data_format pool_function"},
    {"AvgPool1D", "pool_size strides padding data_format pool_function"},
    {"AvgPool2D", "pool_size strides padding data_format pool_function"},
    {"AvgPool3D", "pool_size strides padding data_format pool_function"},
    {"BatchNormalization", "axis momentum epsilon center scale beta_initializer gamma_initializer "
     "moving_mean_initializer moving_variance_initializer beta_regularizer gamma_regularizer beta_constraint "
     "gamma_constraint synchronized renorm renorm_clipping renorm_momentum fused virtual_batch_size adjustment"},
    {"Bidirectional", "layer merge_mode weights backward_layer"},
    {"CategoryEncoding", "num_tokens output_mode sparse"},
    {"CenterCrop", "height width"},
    {"Concatenate", "axis"},
    {"Conv1D", "filters kernel_size strides padding data_format dilation_rate groups activation use_bias "
     "kernel_initializer bias_initializer kernel_regularizer bias_regularizer kernel_constraint bias_constraint "
     "rank conv_op"},
    {"Conv1DTranspose", "filters kernel_size strides padding output_padding data_format dilation_rate "
     "activation use_bias kernel_initializer bias_initializer kernel_regularizer bias_regularizer "
     "kernel_constraint bias_constraint groups rank conv_op"},
    {"Conv2D", "filters kernel_size strides padding data_format dilation_rate groups activation use_bias "
     "kernel_initializer bias_initializer kernel_regularizer bias_regularizer kernel_constraint bias_constraint "
     "rank conv_op"},
    {"Conv2DTranspose", "filters kernel_size strides padding output_padding data_format dilation_rate "
     "activation use_bias kernel_initializer bias_initializer kernel_regularizer bias_regularizer "
     "kernel_constraint bias_constraint groups rank conv_op"},
    {"Conv3D", "filters kernel_size strides padding data_format dilation_rate groups activation use_bias "
     "kernel_initializer bias_initializer kernel_regularizer bias_regularizer kernel_constraint bias_constraint "
     "rank conv_op"},
    {"Conv3DTranspose", "filters kernel_size strides padding output_padding data_format dilation_rate "
     "activation use_bias kernel_initializer bias_initializer kernel_regularizer bias_regularizer "
     "kernel_constraint bias_constraint groups rank conv_op"},
    {"ConvLSTM1D", "filters kernel_size strides padding data_format dilation_rate activation "
     "recurrent_activation use_bias kernel_initializer recurrent_initializer bias_initializer unit_forget_bias "
     "kernel_regularizer recurrent_regularizer bias_regularizer kernel_constraint recurrent_constraint "
     "bias_constraint return_sequences return_state go_backwards stateful dropout recurrent_dropout rank cell "
     "unroll time_major"},
    {"ConvLSTM2D", "filters kernel_size strides padding data_format dilation_rate activation "
     "recurrent_activation use_bias kernel_initializer recurrent_initializer bias_initializer unit_forget_bias "
     "kernel_regularizer recurrent_regularizer bias_regularizer kernel_constraint recurrent_constraint "
     "bias_constraint return_sequences return_state go_backwards stateful dropout recurrent_dropout rank cell "
     "unroll time_major"},
    {"ConvLSTM2DCell", "filters kernel_size strides padding data_format dilation_rate activation "
     "recurrent_activation use_bias kernel_initializer recurrent_initializer bias_initializer unit_forget_bias "
     "kernel_regularizer recurrent_regularizer bias_regularizer kernel_constraint recurrent_constraint "
     "bias_constraint dropout recurrent_dropout"},
    {"ConvLSTM3D", "filters kernel_size strides padding data_format dilation_rate activation "
     "recurrent_activation use_bias kernel_initializer recurrent_initializer bias_initializer unit_forget_bias "
     "kernel_regularizer recurrent_regularizer bias_regularizer kernel_constraint recurrent_constraint "
     "bias_constraint return_sequences return_state go_backwards stateful dropout recurrent_dropout rank cell "
     "unroll time_major"},
    {"ConvRecurrent2D", "filters kernel_size strides padding data_format dilation_rate return_sequences "
     "go_backwards stateful return_state unroll implementation"},
    {"Convolution1D", "filters kernel_size strides padding data_format dilation_rate groups activation use_bias "
     "kernel_initializer bias_initializer kernel_regularizer bias_regularizer kernel_constraint bias_constraint "
     "rank conv_op"},
    {"Convolution1DTranspose", "filters kernel_size strides padding output_padding data_format dilation_rate "
     "activation use_bias kernel_initializer bias_initializer kernel_regularizer bias_regularizer "
     "kernel_constraint bias_constraint groups rank conv_op"},
    {"Convolution2D", "filters kernel_size strides padding data_format dilation_rate groups activation use_bias "
     "kernel_initializer bias_initializer kernel_regularizer bias_regularizer kernel_constraint bias_constraint "
     "rank conv_op"},
    {"Convolution2DTranspose", "filters kernel_size strides padding output_padding data_format dilation_rate "
     "activation use_bias kernel_initializer bias_initializer kernel_regularizer bias_regularizer "
     "kernel_constraint bias_constraint groups rank conv_op"},
    {"Convolution3D", "filters kernel_size strides padding data_format dilation_rate groups activation use_bias "
     "kernel_initializer bias_initializer kernel_regularizer bias_regularizer kernel_constraint bias_constraint "
     "rank conv_op"},
    {"Convolution3DTranspose", "filters kernel_size strides padding output_padding data_format dilation_rate "
     "activation use_bias kernel_initializer bias_initializer kernel_regularizer bias_regularizer "
     "kernel_constraint bias_constraint groups rank conv_op"},
    {"Cropping1D", "cropping data_format"},
    {"Cropping2D", "cropping data_format"},
    {"Cropping3D", "cropping data_format"},
    {"CuDNNGRU", "units kernel_initializer recurrent_initializer bias_initializer kernel_regularizer "
     "recurrent_regularizer bias_regularizer kernel_constraint recurrent_constraint bias_constraint "
     "return_sequences return_state stateful go_backwards cell unroll"},
    {"CuDNNLSTM", "units kernel_initializer recurrent_initializer bias_initializer unit_forget_bias "
     "kernel_regularizer recurrent_regularizer bias_regularizer kernel_constraint recurrent_constraint "
     "bias_constraint return_sequences return_state stateful go_backwards cell unroll"},
    {"Deconvolution2D", "filters kernel_size strides padding output_padding data_format dilation_rate "
     "activation use_bias kernel_initializer bias_initializer kernel_regularizer bias_regularizer "
     "kernel_constraint bias_constraint rank"},
    {"Deconvolution3D", "filters kernel_size strides padding output_padding data_format activation use_bias "
     "kernel_initializer bias_initializer kernel_regularizer bias_regularizer kernel_constraint bias_constraint "
     "dilation_rate rank"},
    {"CustomScaleLayer", "scale"},
    {"Dense", "units activation use_bias kernel_initializer bias_initializer kernel_regularizer "
     "bias_regularizer kernel_constraint bias_constraint"},
    {"DenseFeatures", "feature_columns partitioner expected_column_type"},
    {"DepthwiseConv1D", "kernel_size strides padding depth_multiplier data_format dilation_rate activation "
     "use_bias depthwise_initializer bias_initializer depthwise_regularizer bias_regularizer "
     "depthwise_constraint bias_constraint rank filters groups kernel_initializer kernel_regularizer "
     "kernel_constraint conv_op"},
    {"DepthwiseConv2D", "kernel_size strides padding depth_multiplier data_format dilation_rate activation "
     "use_bias depthwise_initializer bias_initializer depthwise_regularizer bias_regularizer "
     "depthwise_constraint bias_constraint rank filters groups kernel_initializer kernel_regularizer "
     "kernel_constraint conv_op"},
    {"Discretization", "bin_boundaries num_bins epsilon output_mode sparse"},
    {"Dot", "axes normalize"},
    {"Dropout", "rate noise_shape seed force_generator rng_type"},
    {"ELU", "alpha"},
    {"EinsumDense", "equation output_shape activation bias_axes kernel_initializer bias_initializer "
     "kernel_regularizer bias_regularizer kernel_constraint bias_constraint"},
    {"Embedding", "input_dim output_dim embeddings_initializer embeddings_regularizer embeddings_constraint "
     "mask_zero input_length sparse"},
    {"Flatten", "data_format"},
    {"GRU", "units activation recurrent_activation use_bias kernel_initializer recurrent_initializer "
     "bias_initializer kernel_regularizer recurrent_regularizer bias_regularizer kernel_constraint "
     "recurrent_constraint bias_constraint dropout recurrent_dropout return_sequences return_state go_backwards "
     "stateful unroll time_major reset_after cell seed force_generator rng_type implementation"},
    {"GRUCell", "units activation recurrent_activation use_bias kernel_initializer recurrent_initializer "
     "bias_initializer kernel_regularizer recurrent_regularizer bias_regularizer kernel_constraint "
     "recurrent_constraint bias_constraint dropout recurrent_dropout reset_after seed force_generator rng_type "
     "implementation"},
    {"GaussianDropout", "rate seed force_generator rng_type"},
    {"GaussianNoise", "stddev seed force_generator rng_type"},
    {"GlobalAveragePooling1D", "data_format keepdims"},
    {"GlobalAveragePooling2D", "data_format keepdims"},
    {"GlobalAveragePooling3D", "data_format keepdims"},
    {"GlobalAvgPool1D", "data_format keepdims"},
    {"GlobalAvgPool2D", "data_format keepdims"},
    {"GlobalAvgPool3D", "data_format keepdims"},
    {"GlobalMaxPool1D", "data_format keepdims"},
    {"GlobalMaxPool2D", "data_format keepdims"},
    {"GlobalMaxPool3D", "data_format keepdims"},
    {"GlobalMaxPooling1D", "data_format keepdims"},
    {"GlobalMaxPooling2D", "data_format keepdims"},
    {"GlobalMaxPooling3D", "data_format keepdims"},
    {"GroupNormalization", "groups axis epsilon center scale beta_initializer gamma_initializer "
     "beta_regularizer gamma_regularizer beta_constraint gamma_constraint"},
    {"HashedCrossing", "num_bins output_mode sparse"},
    {"Hashing", "num_bins mask_value salt output_mode sparse"},
    {"Highway", "init activation weights W_regularizer b_regularizer W_constraint b_constraint bias input_dim"},
    {"Identity", ""},
    {"InputLayer", "input_shape batch_size input_tensor sparse ragged type_spec optional batch_input_shape "
     "!trainable"},
    {"IntegerLookup", "max_tokens num_oov_indices mask_token oov_token vocabulary vocabulary_dtype idf_weights "
     "invert output_mode sparse pad_to_max_tokens"},
    {"LSTM", "units activation recurrent_activation use_bias kernel_initializer recurrent_initializer "
     "bias_initializer unit_forget_bias kernel_regularizer recurrent_regularizer bias_regularizer "
     "kernel_constraint recurrent_constraint bias_constraint dropout recurrent_dropout return_sequences "
     "return_state go_backwards stateful time_major unroll cell seed force_generator rng_type implementation"},
    {"LSTMCell", "units activation recurrent_activation use_bias kernel_initializer recurrent_initializer "
     "bias_initializer unit_forget_bias kernel_regularizer recurrent_regularizer bias_regularizer "
     "kernel_constraint recurrent_constraint bias_constraint dropout recurrent_dropout seed force_generator "
     "rng_type implementation"},
    {"Lambda", "function output_shape mask arguments"},
    {"Layer", ""},
    {"LayerNormalization", "axis epsilon center scale beta_initializer gamma_initializer beta_regularizer "
     "gamma_regularizer beta_constraint gamma_constraint"},
    {"LeakyReLU", "alpha"},
    {"LocallyConnected1D", "filters kernel_size strides padding data_format activation use_bias "
     "kernel_initializer bias_initializer kernel_regularizer bias_regularizer kernel_constraint bias_constraint "
     "implementation"},
    {"LocallyConnected2D", "filters kernel_size strides padding data_format activation use_bias "
     "kernel_initializer bias_initializer kernel_regularizer bias_regularizer kernel_constraint bias_constraint "
     "implementation"},
    {"Masking", "mask_value"},
    {"MaxPool1D", "pool_size strides padding data_format pool_function"},
    {"MaxPool2D", "pool_size strides padding data_format pool_function"},
    {"MaxPool3D", "pool_size strides padding data_format pool_function"},
    {"MaxPooling1D", "pool_size strides padding data_format pool_function"},
    {"MaxPooling2D", "pool_size strides padding data_format pool_function"},
    {"MaxPooling3D", "pool_size strides padding data_format pool_function"},
    {"Maximum", ""},
    {"MaxoutDense", "output_dim nb_feature init weights W_regularizer b_regularizer W_constraint b_constraint "
     "bias input_dim"},
    {"Minimum", ""},
    {"MultiHeadAttention", "num_heads key_dim value_dim dropout use_bias output_shape attention_axes "
     "kernel_initializer bias_initializer kernel_regularizer bias_regularizer kernel_constraint bias_constraint "
     "softmax_robust_masking"},
    {"Multiply", ""},
    {"Normalization", "axis mean variance invert"},
    {"PReLU", "alpha_initializer alpha_regularizer alpha_constraint shared_axes"},
    {"Permute", "dims"},
    {"RNN", "cell return_sequences return_state go_backwards stateful unroll time_major"},
    {"RandomBrightness", "factor value_range seed force_generator rng_type"},
    {"RandomContrast", "factor seed force_generator rng_type"},
    {"RandomCrop", "height width seed force_generator rng_type"},
    {"RandomFlip", "mode seed force_generator rng_type"},
    {"RandomHeight", "factor interpolation seed force_generator rng_type"},
    {"RandomRotation", "factor fill_mode interpolation seed fill_value force_generator rng_type"},
    {"RandomTranslation", "height_factor width_factor fill_mode interpolation seed fill_value force_generator "
     "rng_type"},
    {"RandomWidth", "factor interpolation seed force_generator rng_type"},
    {"RandomZoom", "height_factor width_factor fill_mode interpolation seed fill_value force_generator rng_type"},
    {"ReLU", "max_value negative_slope threshold"},
    {"Recurrent", "return_sequences return_state go_backwards stateful unroll implementation"},
    {"RepeatVector", "n"},
    {"Rescaling", "scale offset"},
    {"Reshape", "target_shape"},
    {"Resizing", "height width interpolation crop_to_aspect_ratio"},
    {"SeparableConv1D", "filters kernel_size strides padding data_format dilation_rate depth_multiplier "
     "activation use_bias depthwise_initializer pointwise_initializer bias_initializer depthwise_regularizer "
     "pointwise_regularizer bias_regularizer depthwise_constraint pointwise_constraint bias_constraint rank "
     "groups kernel_initializer kernel_regularizer kernel_constraint conv_op"},
    {"SeparableConv2D", "filters kernel_size strides padding data_format dilation_rate depth_multiplier "
     "activation use_bias depthwise_initializer pointwise_initializer bias_initializer depthwise_regularizer "
     "pointwise_regularizer bias_regularizer depthwise_constraint pointwise_constraint bias_constraint rank "
     "groups kernel_initializer kernel_regularizer kernel_constraint conv_op"},
    {"SeparableConvolution1D", "filters kernel_size strides padding data_format dilation_rate depth_multiplier "
     "activation use_bias depthwise_initializer pointwise_initializer bias_initializer depthwise_regularizer "
     "pointwise_regularizer bias_regularizer depthwise_constraint pointwise_constraint bias_constraint rank "
     "groups kernel_initializer kernel_regularizer kernel_constraint conv_op"},
    {"SeparableConvolution2D", "filters kernel_size strides padding data_format dilation_rate depth_multiplier "
     "activation use_bias depthwise_initializer pointwise_initializer bias_initializer depthwise_regularizer "
     "pointwise_regularizer bias_regularizer depthwise_constraint pointwise_constraint bias_constraint rank "
     "groups kernel_initializer kernel_regularizer kernel_constraint conv_op"},
    {"SimpleRNN", "units activation use_bias kernel_initializer recurrent_initializer bias_initializer "
     "kernel_regularizer recurrent_regularizer bias_regularizer kernel_constraint recurrent_constraint "
     "bias_constraint dropout recurrent_dropout return_sequences return_state go_backwards stateful unroll cell "
     "time_major"},
    {"SimpleRNNCell", "units activation use_bias kernel_initializer recurrent_initializer bias_initializer "
     "kernel_regularizer recurrent_regularizer bias_regularizer kernel_constraint recurrent_constraint "
     "bias_constraint dropout recurrent_dropout seed force_generator rng_type"},
    {"Softmax", "axis robust_masking"},
    {"SpatialDropout1D", "rate noise_shape seed force_generator rng_type"},
    {"SpatialDropout2D", "rate data_format noise_shape seed force_generator rng_type"},
    {"SpatialDropout3D", "rate data_format noise_shape seed force_generator rng_type"},
    {"SpectralNormalization", "layer power_iterations"},
    {"StackedRNNCells", "cells"},
    {"StringLookup", "max_tokens num_oov_indices mask_token oov_token vocabulary idf_weights encoding invert "
     "output_mode sparse pad_to_max_tokens vocabulary_dtype"},
    {"Subtract", ""},
    {"TextVectorization", "max_tokens standardize split ngrams output_mode output_sequence_length "
     "pad_to_max_tokens vocabulary idf_weights sparse ragged encoding"},
    {"ThresholdedReLU", "theta"},
    {"TimeDistributed", "layer"},
    {"UnitNormalization", "axis"},
    {"UpSampling1D", "size data_format"},
    {"UpSampling2D", "size data_format interpolation"},
    {"UpSampling3D", "size data_format"},
    {"Wrapper", "layer"},
    {"ZeroPadding1D", "padding data_format"},
    {"ZeroPadding2D", "padding data_format"},
    {"ZeroPadding3D", "padding data_format"},
    {0}};

const cn_keras_words cn_keras3_modules[] = {
    {"Abs", "numpy"},
    {"Absolute", "numpy"},
    {"AdaptiveAveragePool", "nn"},
    {"AdaptiveMaxPool", "nn"},
    {"Add", "numpy"},
    {"AffineTransform", "image"},
    {"All", "numpy"},
    {"AllClose", "numpy"},
    {"Amax", "numpy"},
    {"Amin", "numpy"},
    {"Angle", "numpy"},
    {"Any", "numpy"},
    {"Append", "numpy"},
    {"Arange", "numpy"},
    {"Arccos", "numpy"},
    {"Arccosh", "numpy"},
    {"Arcsin", "numpy"},
    {"Arcsinh", "numpy"},
    {"Arctan", "numpy"},
    {"Arctan2", "numpy"},
    {"Arctanh", "numpy"},
    {"Argmax", "numpy"},
    {"Argmin", "numpy"},
    {"Argpartition", "numpy"},
    {"Argsort", "numpy"},
    {"Array", "numpy"},
    {"ArraySplit", "numpy"},
    {"AssociativeScan", "core"},
    {"Average", "numpy"},
    {"AveragePool", "nn"},
    {"BatchNorm", "nn"},
    {"BinaryCrossentropy", "nn"},
    {"Bincount", "numpy"},
    {"BitwiseAnd", "numpy"},
    {"BitwiseInvert", "numpy"},
    {"BitwiseLeftShift", "numpy"},
    {"BitwiseNot", "numpy"},
    {"BitwiseOr", "numpy"},
    {"BitwiseRightShift", "numpy"},
    {"BitwiseXor", "numpy"},
    {"BroadcastTo", "numpy"},
    {"CDist", "math"},
    {"CTCDecode", "nn"},
    {"CTCLoss", "nn"},
    {"Cast", "core"},
    {"CategoricalCrossentropy", "nn"},
    {"Cbrt", "numpy"},
    {"Ceil", "numpy"},
    {"Celu", "nn"},
    {"Cholesky", "linalg"},
    {"CholeskyInverse", "linalg"},
    {"Clip", "numpy"},
    {"Concatenate", "numpy"},
    {"Cond", "core"},
    {"Conj", "numpy"},
    {"Conjugate", "numpy"},
    {"Conv", "nn"},
    {"ConvTranspose", "nn"},
    {"ConvertToTensor", "core"},
    {"Copy", "numpy"},
    {"Corrcoef", "numpy"},
    {"Correlate", "numpy"},
    {"Cos", "numpy"},
    {"Cosh", "numpy"},
    {"CountNonzero", "numpy"},
    {"CropImages", "image"},
    {"Cross", "numpy"},
    {"Cumprod", "numpy"},
    {"Cumsum", "numpy"},
    {"Deg2rad", "numpy"},
    {"DepthToSpace", "nn"},
    {"DepthwiseConv", "nn"},
    {"Det", "linalg"},
    {"Diag", "numpy"},
    {"Diagflat", "numpy"},
    {"Diagonal", "numpy"},
    {"Diff", "numpy"},
    {"Digitize", "numpy"},
    {"Divide", "numpy"},
    {"DivideNoNan", "numpy"},
    {"Dot", "numpy"},
    {"DotProductAttention", "nn"},
    {"Dsplit", "numpy"},
    {"Dstack", "numpy"},
    {"Eig", "linalg"},
    {"Eigh", "linalg"},
    {"Einsum", "numpy"},
    {"ElasticTransform", "image"},
    {"Elu", "nn"},
    {"EmptyLike", "numpy"},
    {"Equal", "numpy"},
    {"Erf", "math"},
    {"Erfc", "math"},
    {"Erfinv", "math"},
    {"Exp", "numpy"},
    {"Exp2", "numpy"},
    {"ExpandDims", "numpy"},
    {"Expm1", "numpy"},
    {"ExtractPatches", "image"},
    {"ExtractSequences", "math"},
    {"FFT", "math"},
    {"FFT2", "math"},
    {"Fabs", "numpy"},
    {"Flip", "numpy"},
    {"Fliplr", "numpy"},
    {"Flipud", "numpy"},
    {"Floor", "numpy"},
    {"FloorDivide", "numpy"},
    {"Fmax", "numpy"},
    {"Fmin", "numpy"},
    {"Fmod", "numpy"},
    {"Fold", "nn"},
    {"ForiLoop", "core"},
    {"Full", "numpy"},
    {"FullLike", "numpy"},
    {"GaussianBlur", "image"},
    {"Gcd", "numpy"},
    {"Gelu", "nn"},
    {"Geomspace", "numpy"},
    {"GetItem", "numpy"},
    {"Glu", "nn"},
    {"Greater", "numpy"},
    {"GreaterEqual", "numpy"},
    {"HSVToRGB", "image"},
    {"HardShrink", "nn"},
    {"HardSigmoid", "nn"},
    {"HardSilu", "nn"},
    {"HardTanh", "nn"},
    {"Heaviside", "numpy"},
    {"Histogram", "numpy"},
    {"Hsplit", "numpy"},
    {"Hstack", "numpy"},
    {"Hypot", "numpy"},
    {"I0", "numpy"},
    {"IFFT2", "math"},
    {"IRFFT", "math"},
    {"ISTFT", "math"},
    {"Imag", "numpy"},
    {"InTopK", "math"},
    {"Inner", "numpy"},
    {"Inv", "linalg"},
    {"IsIn", "numpy"},
    {"Isclose", "numpy"},
    {"Isfinite", "numpy"},
    {"Isinf", "numpy"},
    {"Isnan", "numpy"},
    {"Isneginf", "numpy"},
    {"Isposinf", "numpy"},
    {"Isreal", "numpy"},
    {"JVP", "linalg"},
    {"Kron", "numpy"},
    {"LayerNorm", "nn"},
    {"Lcm", "numpy"},
    {"Ldexp", "numpy"},
    {"LeakyRelu", "nn"},
    {"LeftShift", "numpy"},
    {"Less", "numpy"},
    {"LessEqual", "numpy"},
    {"Linspace", "numpy"},
    {"Log", "numpy"},
    {"Log10", "numpy"},
    {"Log1p", "numpy"},
    {"Log2", "numpy"},
    {"LogSigmoid", "nn"},
    {"LogSoftmax", "nn"},
    {"Logaddexp", "numpy"},
    {"Logaddexp2", "numpy"},
    {"Logdet", "math"},
    {"LogicalAnd", "numpy"},
    {"LogicalNot", "numpy"},
    {"LogicalOr", "numpy"},
    {"LogicalXor", "numpy"},
    {"Logspace", "numpy"},
    {"Logsumexp", "math"},
    {"Lstsq", "linalg"},
    {"LuFactor", "linalg"},
    {"Map", "core"},
    {"MapCoordinates", "image"},
    {"Matmul", "numpy"},
    {"MatrixRank", "linalg"},
    {"Max", "numpy"},
    {"MaxPool", "nn"},
    {"Maximum", "numpy"},
    {"Mean", "numpy"},
    {"Median", "numpy"},
    {"Meshgrid", "numpy"},
    {"Min", "numpy"},
    {"Minimum", "numpy"},
    {"Mod", "numpy"},
    {"Moments", "nn"},
    {"Moveaxis", "numpy"},
    {"MultiHot", "nn"},
    {"Multiply", "numpy"},
    {"NanToNum", "numpy"},
    {"Nanargmax", "numpy"},
    {"Nanargmin", "numpy"},
    {"Nancumprod", "numpy"},
    {"Nancumsum", "numpy"},
    {"Nanmax", "numpy"},
    {"Nanmean", "numpy"},
    {"Nanmedian", "numpy"},
    {"Nanmin", "numpy"},
    {"Nanpercentile", "numpy"},
    {"Nanprod", "numpy"},
    {"Nanquantile", "numpy"},
    {"Nanstd", "numpy"},
    {"Nansum", "numpy"},
    {"Nanvar", "numpy"},
    {"Ndim", "numpy"},
    {"Negative", "numpy"},
    {"Nextafter", "numpy"},
    {"Nonzero", "numpy"},
    {"Norm", "linalg"},
    {"Normalize", "nn"},
    {"NotEqual", "numpy"},
    {"OneHot", "nn"},
    {"OnesLike", "numpy"},
    {"Outer", "numpy"},
    {"PSNR", "nn"},
    {"Pad", "numpy"},
    {"PadImages", "image"},
    {"Percentile", "numpy"},
    {"PerspectiveTransform", "image"},
    {"Pinv", "linalg"},
    {"Polar", "nn"},
    {"Power", "numpy"},
    {"Prod", "numpy"},
    {"Ptp", "numpy"},
    {"Qr", "linalg"},
    {"Quantile", "numpy"},
    {"RFFT", "math"},
    {"RGBToGrayscale", "image"},
    {"RGBToHSV", "image"},
    {"RMSNorm", "nn"},
    {"Rad2deg", "numpy"},
    {"Ravel", "numpy"},
    {"Real", "numpy"},
    {"Rearrange", "einops"},
    {"Reciprocal", "numpy"},
    {"Relu", "nn"},
    {"Relu6", "nn"},
    {"Repeat", "numpy"},
    {"Reshape", "numpy"},
    {"Resize", "image"},
    {"RightShift", "numpy"},
    {"Roll", "numpy"},
    {"Rot90", "numpy"},
    {"Round", "numpy"},
    {"Rsqrt", "math"},
    {"SSIM", "image"},
    {"STFT", "math"},
    {"SVD", "linalg"},
    {"SaturateCast", "core"},
    {"ScaleAndTranslate", "image"},
    {"Scan", "core"},
    {"Scatter", "core"},
    {"ScatterUpdate", "core"},
    {"SearchSorted", "numpy"},
    {"SegmentMax", "math"},
    {"SegmentMin", "math"},
    {"SegmentProd", "math"},
    {"SegmentReduction", "math"},
    {"SegmentSum", "math"},
    {"Select", "numpy"},
    {"Selu", "nn"},
    {"SeparableConv", "nn"},
    {"Sigmoid", "nn"},
    {"Sign", "numpy"},
    {"Signbit", "numpy"},
    {"Silu", "nn"},
    {"Sin", "numpy"},
    {"Sinc", "numpy"},
    {"Sinh", "numpy"},
    {"Size", "numpy"},
    {"Slice", "core"},
    {"SliceUpdate", "core"},
    {"Slogdet", "numpy"},
    {"SobelEdges", "image"},
    {"SoftShrink", "nn"},
    {"Softmax", "nn"},
    {"Softplus", "nn"},
    {"Softsign", "nn"},
    {"Solve", "linalg"},
    {"SolveTriangular", "linalg"},
    {"Sort", "numpy"},
    {"SpaceToDepth", "nn"},
    {"SparseCategoricalCrossentropy", "nn"},
    {"SparsePlus", "nn"},
    {"SparseSigmoid", "nn"},
    {"Sparsemax", "nn"},
    {"Split", "numpy"},
    {"Sqrt", "numpy"},
    {"Square", "numpy"},
    {"Squareplus", "nn"},
    {"Squeeze", "numpy"},
    {"Stack", "numpy"},
    {"Std", "numpy"},
    {"StopGradient", "core"},
    {"Subtract", "numpy"},
    {"Sum", "numpy"},
    {"Swapaxes", "numpy"},
    {"Switch", "core"},
    {"Take", "numpy"},
    {"TakeAlongAxis", "numpy"},
    {"Tan", "numpy"},
    {"Tanh", "numpy"},
    {"TanhShrink", "nn"},
    {"Tensordot", "numpy"},
    {"Threshold", "nn"},
    {"Tile", "numpy"},
    {"TopK", "math"},
    {"Trace", "numpy"},
    {"Transpose", "numpy"},
    {"Trapezoid", "numpy"},
    {"Tril", "numpy"},
    {"Triu", "numpy"},
    {"TrueDivide", "numpy"},
    {"Trunc", "numpy"},
    {"Unfold", "nn"},
    {"Unique", "numpy"},
    {"UnravelIndex", "numpy"},
    {"Unstack", "core"},
    {"Vander", "numpy"},
    {"Var", "numpy"},
    {"Vdot", "numpy"},
    {"VectorizedMap", "core"},
    {"View", "numpy"},
    {"ViewAsComplex", "math"},
    {"ViewAsReal", "math"},
    {"Vsplit", "numpy"},
    {"Vstack", "numpy"},
    {"Where", "numpy"},
    {"WhileLoop", "core"},
    {"ZerosLike", "numpy"},
    {0}};
