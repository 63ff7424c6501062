/* Classes of Keras that are refused on purpose, and why. */
#include "base/text.h"
#include "layers/layer.h"

static const struct { const char *names, *why; } refused[] = {
    {"Layer InputSpec Wrapper Recurrent ConvRecurrent2D AbstractRNNCell PreprocessingLayer "
     "SegmentReduction",
     "a base class, which Keras saves in no file"},
    {"ConvLSTMCell ConvLSTM2DCell", "one step of a convolutional LSTM, which Keras runs inside ConvLSTM2D and ConvRNN2D"},
    {"Function", "a part of Keras's own machinery, which it saves in no file"},
    {"FlaxLayer JaxLayer", "it holds serialized code of JAX"},
    {"TorchModuleWrapper", "it holds a pickled module of PyTorch, which is code"},
    {"ModuleWrapper", "it holds a tf.Module, whose code the file does not have"},
    {"ClassMethod InstanceMethod InstanceProperty", "it calls a method of a ragged tensor, which Cornu does not have"},
    {"TFSMLayer", "it names a SavedModel in another place"},
    {"DenseFeatures SequenceFeatures LinearModel WideDeepModel",
     "its feature columns read dicts of raw examples; save the layers that come after it as a model"},
    {"FeatureSpace", "it reads dicts of raw examples; save the model that comes after it"},
    {"DynamicLookup DynamicEmbedding", "its table changes while it runs"},
    {"Distiller SharpnessAwareMinimization", "it wraps a model for training; save that model"},
    {"Eig", "it gives complex numbers, which Cornu does not have; symmetric matrices have Eigh"},
    {"ViewAsComplex", "it gives complex numbers, which Cornu does not have"},
    {"Polar", "it gives complex numbers, which Cornu does not have; multiply by the cosine and the sine"},
    {"JVP Map VectorizedMap Scan AssociativeScan Switch Cond WhileLoop ForiLoop",
     "it is called with Python functions, of which the file has names or code"},
};

const char *cn_refusal(const char *class_name) {
  for (int i = 0; i < CN_COUNT(refused); i++)
    if (cn_word_in(refused[i].names, class_name, NULL)) return refused[i].why;
  return NULL;
}

bool cornu_refused_classes(int i, const char **names, const char **why) {
  if (i < 0 || i >= CN_COUNT(refused)) return false;
  *names = refused[i].names;
  *why = refused[i].why;
  return true;
}
