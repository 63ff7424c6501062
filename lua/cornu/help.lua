-- help(x): what a function, a method, an operation or a layer type does; help "word" searches.
-- `text` below holds an entry for every function of the Lua API: "name", "signature", "what it does". The entries of
-- operations and layer types come from the registries of the engine.
local core = require "cornu.core"
local registry = require "cornu.registry"

local text = {
  -- models
  { "load", 'cornu.load(path [, weights] [, options]) → model', [[
Opens what Keras saved: .keras, .h5, .json, an unzipped .keras folder, and flat .cornu files; the content decides, not the
name. In place of a path a text that begins with "{" is the JSON itself, and {data = bytes} a file in memory, as
{read = function(offset, n) return bytes end, size = n} is, too: from an archive of the program's own. Then the weights are
{data = bytes}, too. A name = "…" of theirs is told in messages.
weights: a second file (.h5, .weights.h5, a full model). options:
  by_name = true          weights to layers by name instead of by order
  skip_mismatch = true    leave weights whose shape differs as they are
  trusted = true          you know where the file is from: HDF5 of other kinds (shared types, virtual arrays)
                          is read, too, with libhdf5, which does not stand files that are made to harm
  exact = true            3×3 convolutions never take Winograd's method, whose errors are up to three times those of plain
                          sums (CORNU_EXACT=1 in the environment: the same for all models)
  custom_objects = {Name = function(x, layer) return y end}
                          layers that Cornu does not know, and Lambda, by class name or by layer name. x is a
                          tensor, or a list when there are several. The function runs once, on symbolic
                          tensors, and its operations become part of the model. Or Name = {call = f, build = function(layer, input_shape)
                          layer:add_weight(…) end, output_shape = function(layer, input_shape) return {…} end,
                          eager = true}: eager calls f with data at each run. A cell of an RNN layer is Name =
                          {state_size = n, call = function(x, states, layer, constants) return y, new_states end}:
                          state_size is a number, a list with a number or a shape for each state, or a function of
                          the layer that gives one; x is one step, states and constants are lists. It runs once for
                          each step. Its build gets the shape of one step.
  backend = "theano" | "tensorflow", data_format = "channels_first" | "channels_last"
                          for Keras 1 files that do not tell
  seed = n                of the initial weights of a config without weights
cornu.load(json, weights, input [, options]) runs the model at once and gives its output.]] },
  { "check_modeltype", 'cornu.check_modeltype(path) → "Sequential" or "Functional"',
    "Looks at the file without loading weights." },
  { "load_keras", "cornu.load_keras(json [, h5] [, {by_name = true}]) → model", [[
What BigDL calls loading: a definition, and weights of it. Also load_keras{json_path =, hdf5_path =, by_name =}; without a
definition the .h5 file holds it. The model can be trained, see model:compile.]] },
  { "model", "model(x [, {training = true}]) → y", [[
Runs the model; as in training, where that is asked for: dropout, noise and augmentation act, and statistics such as those of
BatchNormalization are of the batch and move on, as in Keras. x: a tensor (or nested tables of numbers); a list in the order of model.inputs; a table by input name.
y: a tensor, a list in the order of model.outputs, or a table by name for models whose outputs are a dict.
Fields: name type keras_version backend path inputs outputs config. #model is the number of layers,
model[n] the n-th layer, model[-1] the last, model[{1, 3}] a model of the first three; all weights are shared.]] },
  { "model:predict_on_batch", "model:predict_on_batch(x) → y", "model(x), by Keras's name." },
  { "model:predict", "model:predict(x [, {batch_size = 32, threads =, progress =, steps =}]) → y", [[
As model(x), in batches along the first axis. x may be a dataset (help "data"), whose batches are taken in its own order, not
shuffled, up to `steps` of them. progress = true draws a bar on stderr; a function gets (done, rows).]] },
  { "model:gradients", "model:gradients(x, loss [, {targets =, training = false, seed = 0}]) → table", [[
Gradients of loss(y, targets), one number, to the inputs and the trainable weights, which stay as they are; y: the output or
the list of outputs. Fields: loss; inputs[i], false where those are integers; weights, in the order of the layers, their names
and by_name["dense/kernel"].]] },
  { "model:slice", "model:slice(from, to) → model", [[
The part of the model from what goes into `from` to what comes out of `to`, both included; weights are shared. Each is:
  a layer's name, number or layer; nil: the model's own inputs or outputs
  "encoder/conv1"     a path into nested models
  "shared[2]"         a call of a layer that has several (else every call of from, the last call of to)
  "lstm:2"            one tensor of several
  a symbol            such as layer:output()
  a list of these; to may be a table by name, {features = "conv1"}: then the outputs are one, too
Inputs of the model that the slice needs as well, as in a skip connection, become its first inputs. A nested model in
which the slice begins or ends is taken apart. model[{a, b}] is the slice between the a-th and the b-th layer.]] },
  { "model:outputs_of", "model:outputs_of{layer, …} → model", [[
A model that gives the outputs of many layers in one run: outputs_of{"conv1", "encoder/fc"}(x) is a list in that order,
outputs_of{a = "conv1", b = "encoder/fc"}(x) a table {a =, b =}, outputs_of "conv1"(x) a tensor. Layers are named as in
model:slice.]] },
  { "model:layers", "model.layers, model:layers() → {layer, …}",
    'All layers in the model\'s order; model.layers.conv1 is the one of that name.' },
  { "model:add", "model:add(layer) → model", [[
Puts a layer or a model at the end of a Sequential, the same object afterwards; cornu.Input as the first thing. A model that
was compiled before is to be compiled again.]] },
  { "model:pop", "model:pop() → layer",
    "Takes the last layer off a Sequential. Of other models model[{1, -2}] is the part without the last layer." },
  { "model:replace", "model:replace(layer, with) → model", [[
A new model with something else in the place of a layer (a name, number or layer of the model itself): a layer, a model, a
list of them, or a function that gets the layer's input and returns what takes the place of its output. Everything else
is shared with the old model, which stays as it is; shapes that do not fit the layers behind are errors.]] },
  { "model:insert", "model:insert(layer, with) → model",
    "A new model with something behind a layer; the arguments are those of model:replace." },
  { "model:clone", "model:clone([name]) → model", [[
A copy whose layers are its own: their weights have equal values and change without those of the first model.]] },
  { "model:as_layer", "model:as_layer() → layer", [[
The model as a layer of another; cornu.Sequential{model, …} and model(symbol) do it themselves. Weights are shared.]] },
  { "model:rename", "model:rename(name) → model", "The same as model.name = name." },
  { "model:weights", "model:weights() → {tensor, …}",
    "Of all layers, in their order; read-only views. model:weight_names() tells their names." },
  { "model:trainable_weights", "model:trainable_weights() → {tensor, …}",
    "Those that training changes: not statistics, not those of frozen layers." },
  { "model:non_trainable_weights", "model:non_trainable_weights() → {tensor, …}", "The others." },
  { "model:weight_names", "model:weight_names() → {name, …}", '"conv1/kernel", in the order of model:weights().' },
  { "model:get_weights", "model:get_weights() → {tensor, …}", "Copies, in the order of model:weights()." },
  { "model:set_weights", "model:set_weights{w, …} → model", [[
Copies tensors (or tables) into the layers: a list in the order of model:weights(), or some by name:
model:set_weights{["conv1/bias"] = cornu.zeros(16)}. All or none are set.]] },
  { "model:layer", "model:layer(name_or_number) → layer", '"outer/inner" goes into nested models.' },
  { "model:get_layer", "model:get_layer(name_or_number) → layer", "model:layer by Keras's name." },
  { "model:summary", "model:summary([width]) → text",
    "Keras's table of layers, output shapes and parameters; also tostring(model)." },
  { "model:count_params", "model:count_params([trainable_only]) → number", "Parameters in all layers." },
  { "model:training_config", "model:training_config() → table", [[
What compile was given, as the file has it: optimizer, loss, metrics …; nil for a model that was not compiled.]] },
  { "model:optimizer_weights", "model:optimizer_weights() → {name = tensor}", [[
What the file of the weights keeps of the optimizer (steps taken, momenta), read from the file when it is asked for; of
several files loaded, the last that keeps any. In .h5 files the names are those of Keras ("Adam/iter:0"), in .keras and
.weights.h5 files numbers in the optimizer's order: "0", "1" … Empty when no file keeps any.]] },
  { "model:load_weights", "model:load_weights(path [, {by_name =, skip_mismatch =, backend =, data_format =}]) → model",
    "Reads weights into the layers: from .h5, .weights.h5, .keras, or what model:save_weights wrote as .npz." },
  { "model:save", "model:save(path [, {keras = 2 or 3, include_optimizer = true}]) → model", [[
The whole model by the ending of the path: .keras is Keras 3's, .h5 and .hdf5 are of the Keras that the model comes from (2
for Keras 1, 3 for models made here) unless `keras` says another; .cornu is a flat file, which is mapped and loads at once,
in the words that the model was read in (safetensors with the model in the metadata: others read its arrays); .json has the layers without their weights. Real Keras
loads the file and predicts the same. What that Keras cannot say is an error that names the layer and the key. The file is
there whole or not at all: a failure leaves the old one. What compile was given and the optimizer's state go along, so that
training goes on from the file, here and in Keras; include_optimizer = false leaves them out. overwrite = false: a file that is there is an error. Losses and metrics that are
functions of Lua are in no file, which is told: after loading, model:compile{loss = …, resume = true} gives them again.]] },
  { "model:save_weights", "model:save_weights(path [, {keras = 2 or 3}]) → model", [[
Weights alone: .weights.h5 is Keras 3's, .h5 and .hdf5 keep them by layers (Keras 1 to 3), .npz has "layer/kernel" arrays.]] },
  { "model:to_json", "model:to_json([{keras = 2 or 3, indent =}]) → text",
    "The layers without their weights, as to_json() of that Keras writes them; by default of the model's own." },
  { "model:plan", "model:plan{batch = 1, shapes = {{…}, …}} → plan", [[
Compiles the model for fixed shapes, for frame loops. plan(x) as model(x); plan:run(inputs, outputs) writes into tensors
that exist (plan:inputs(), plan:outputs() make them) and allocates nothing in the engine.]] },
  { "model:runner", "model:runner{batch = 1, shapes = {{…}, …}, outputs = {names}, carry = {output = \"input\"}} → runner", [[
The model with inputs, outputs and states of its own, for frame loops: write into runner:input(), runner:run(), read
runner:output(). batch: also in place of the one that a stateful model fixes, so that each sample is an agent with states
of its own; all runners of a model share its weights. outputs: values to give instead of the model's, by names of layers.]] },
  { "watch", "cornu.watch(paths [, f]) → watch", [[
Looks whether files have changed, for frame loops: watch:poll() gives nil, or the list of the paths that changed since the
last call, after f(path) for each. An error of f is told in poll's second result, {path = message}. It asks for time and size
of each file, in every call, or every so many seconds: cornu.watch{"a.keras", "b.lua", every = 0.5}. A file that is missing
has not changed. See cornu.reload.]] },
  { "reload", "cornu.reload(model [, path] [, options]) → model, in_place; cornu.reload(name) → module", [[
Reads the model's file again, or another. With the same layers, the model itself takes the new weights, and in_place is true:
whoever holds it has them at its next call, plans and runners in the next run that begins (see runner:refresh). Else the
result is a new model, and the old one stays as it was, with its plans and runners. options: those of cornu.load, and weights = path. cornu.reload "ai" reads a module of Lua again: the table
that require gave takes the new fields. An error leaves all as it was. A flat file is mapped: put a new one in its place by
renaming, as model:save does, rather than write into it.]] },
  { "model:reset_states", "model:reset_states() → model",
    "Stateful layers begin their next run with zeros, as after loading." },
  { "model:close", "model:close()", "Frees the model now instead of at the next collection; closing twice is fine." },
  -- plans
  { "plan:run", "plan:run(inputs, outputs) → outputs",
    "Tensors of exactly the plan's shapes and dtypes, one or a list; allocates nothing." },
  { "plan:inputs", "plan:inputs() → tensor or list", "New tensors with the shapes of the plan's inputs." },
  { "plan:outputs", "plan:outputs() → tensor or list", "New tensors with the shapes of the plan's outputs." },
  { "plan:steps", "plan:steps() → list", [[
What the plan does, in order: {op =, layer =, variant =, shape =, dtype =, inputs = {…}, flops =, bytes =} for each step.
variant names the kernel chosen, "" where there is nothing to tell; inputs are the numbers of the steps that compute
them; bytes count inputs, weights and outputs once each.]] },
  { "plan:profile", "plan:profile([runs = 20] [, inputs]) → list", [[
Times each step: the list of plan:steps(), each with minimum and median seconds over the runs and its share (0 … 1) of the
sum of minima; the list itself has runs and seconds, that sum. inputs: as for plan:run; random numbers unless given.]] },
  { "plan:time", "plan:time(inputs, outputs) → list", "plan:run once; gives the seconds that each step took." },
  { "plan:reset_states", "plan:reset_states() → plan",
    "The next run begins with zeros. A plan has states of its own: one for each agent, all with the same weights." },
  { "plan:refresh", "plan:refresh() → plan",
    "Makes it ready for weights that changed, before the next run does; see runner:refresh." },
  { "plan:memory", "plan:memory() → bytes", "Of arena, packed weights and tables." },
  { "plan:flops", "plan:flops() → number", "Operations in a run, multiply-adds counted twice." },
  { "plan:tostring", "plan:tostring() → text", "A line for each step." },
  { "plan:close", "plan:close()", "Frees the plan now." },
  -- runners
  { "runner:run", "runner:run() → runner", "One run: reads its inputs, writes its outputs and states, allocates nothing." },
  { "runner:run_for", "runner:run_for(microseconds) → done", [[
As much of a run as fits into so many microseconds; the next call goes on with it, and done tells that it is complete.
Whole or in slices, the results are the same bits. Models with handlers that are called in each run cannot be cut.]] },
  { "runner:run_in", "runner:run_in(microseconds) → runner", [[
Inside a coroutine: a run in slices, each followed by coroutine.yield(), so that a script waits for it frame by frame.]] },
  { "runner:start", "runner:start() → runner", "Begins a run in the background; then runner:poll() or runner:wait()." },
  { "runner:poll", "runner:poll() → done", "Whether the run in the background is complete; its error is raised here." },
  { "runner:wait", "runner:wait() → runner", "Waits for the run in the background." },
  { "runner:cancel", "runner:cancel() → runner", "Gives up a run that is under way; the states stay as before it." },
  { "runner:input", "runner:input([name or number = 1]) → tensor",
    "The runner's own input, written in place: runner:input():copy(x), or an element at a time." },
  { "runner:output", "runner:output([name or number = 1]) → tensor", "The runner's own output: each run changes it." },
  { "runner:state", "runner:state([name of the layer or number = 1]) → tensor", [[
What a stateful layer carries to the next run, a row for each sample, to be read and written; ask again after each run.]] },
  { "runner:inputs", "runner:inputs() → list", "Names, shapes and dtypes of its inputs." },
  { "runner:outputs", "runner:outputs() → list", "Names, shapes and dtypes of its outputs." },
  { "runner:states", "runner:states() → list", "Names (of the layers), shapes and dtypes of its states." },
  { "runner:carry", "runner:carry(output, input) → runner",
    "From now on that input begins each run with what that output was: models whose states go in and out." },
  { "runner:reset", "runner:reset([first [, n = 1]]) → runner", [[
States and carried inputs of n samples from the first one on become zeros: new agents begin. Without arguments: of all.]] },
  { "runner:refresh", "runner:refresh() → runner", [[
After weights of the model changed, the next run takes the new ones, and is made ready for them, which takes some time and
memory once: this does it now.]] },
  { "runner:memory", "runner:memory() → bytes", "Of its plan, buffers and states." },
  { "runner:close", "runner:close()", "Frees the runner now." },
  -- layers
  { "layer", "layer(x [, {training = true}]) → y", [[
Runs the layer alone, as in training where that is asked for (help "model"); on symbols (or a list), adds a call of the layer and gives its outputs as symbols.
layer.name = "x" renames, layer.trainable = false freezes the layer and all within. Fields: name class_name config trainable model (of a nested model). config holds Keras's own keys
with Keras's meaning (axes count from 0 there). #layer is the number of weights.]] },
  { "layer:weights", "layer:weights() → {tensor, …}",
    "In Keras's order; read-only views: change a clone() and set_weights it." },
  { "layer:weight_names", "layer:weight_names() → {name, …}", "In the order of layer:weights()." },
  { "layer:set_weights", "layer:set_weights{w, …} → layer", [[
Copies tensors (or tables) into the layer: a list in the order of layer:weights(), or some by name,
layer:set_weights{bias = {0, 0}}. Every model that has the layer sees them.]] },
  { "layer:get_weights", "layer:get_weights() → {tensor, …}", "Copies, in the order of layer:weights()." },
  { "layer:weight", "layer:weight(name) → tensor", "A read-only view by name." },
  { "layer:rename", "layer:rename(name) → layer", [[
The same as layer.name = name. Another layer of that name in the model is an error.]] },
  { "layer:count_trainable", "layer:count_trainable() → number",
    "How many of layer:weights() training changes; they come first." },
  { "layer:add_weight", "layer:add_weight(name, shape [, trainable or options]) → layer", [[
Declares a weight, in the build function of a custom layer. options: trainable = true, initializer = "zeros", regularizer,
constraint: names, or what cornu.initializers, cornu.regularizers and cornu.constraints make.]] },
  { "layer:add_loss", "layer:add_loss(t) → layer",
    "Adds a number to the loss, in the call function of a custom layer; where nothing is trained it does nothing." },
  { "layer:in_training", "layer:in_training() → boolean",
    "In the call function of a custom layer: whether a step of training is being made." },
  { "Layer", "cornu.Layer{class_name =, call = function(x, layer) … end, …} → layer", [[
A layer of one's own, as custom_objects has them: call runs once, on symbolic tensors, and what it does becomes part of the
model; layer:weights() are what is trained. Random numbers come from layers without weights that it calls, such as
noise = cornu.layers.GaussianNoise{1}, noise(x * 0), which draw in each step of training; cornu.randn would draw once. Those
with weights are constants within it, which must be frozen. Also: build = function(layer, input_shape) layer:add_weight(…) end, config = {…},
name, output_shape, eager, state_size. To open a model that has it: cornu.load(path, {custom_objects = {NAME = …}}).]] },
  { "layer:adapt", "layer:adapt(data [, {steps =}]) → layer", [[
What preprocessing layers learn of data before training, as in Keras. data: a tensor, a table, or a stream of batches (a
dataset, of which x is taken, a function that gives a batch at each call, a list of tensors), of which `steps` are seen.
Normalization learns mean and variance; TextVectorization, StringLookup and IntegerLookup the most frequent words up to
max_tokens, with output_mode = "tf_idf" also their weights; Discretization the boundaries of num_bins bins, by a sketch of
quantiles of precision epsilon. Rows are documents; a vector is as many documents, in a stream of batches it is one. What
was learned is saved with the layer.]] },
  { "layer:get_vocabulary", "layer:get_vocabulary([special = true]) → {word, …}", [[
The words of TextVectorization, StringLookup or IntegerLookup in the order of their numbers; false: without those for masks
and unknown values. layer:vocabulary_size() is how many there are with them.]] },
  { "layer:set_vocabulary", "layer:set_vocabulary(words [, idf_weights]) → layer", [[
Gives a lookup layer its words, a list or a vector, with or without the special ones in front. With output_mode = "tf_idf"
idf_weights has a number for each. Where rows have a column for each word (but with pad_to_max_tokens), there must be as many
words as before.]] },
  { "layer:vocabulary_size", "layer:vocabulary_size() → number", "How many numbers of words there are, special ones included." },
  { "layer:states", "layer:states() → {tensor, …}",
    "What a stateful layer left for its next run, (batch, units) each; none before the first run." },
  { "layer:reset_states", "layer:reset_states([{tensor, …}]) → layer",
    "The next run of a stateful layer begins with zeros, or with these states." },
  { "layer:input", "layer:input([call = 1]) → symbol",
    "What goes into a call of the layer; a list when it takes several tensors. -1 is the last call." },
  { "layer:output", "layer:output([call = 1]) → symbol", [[
What comes out of a call of the layer: a symbol with fields name, shape, dtype, layer; a list when there are several. A
slice may begin or end at it. model:layer "encoder/conv1":output() is the value within the whole model.]] },
  { "symbol", "symbol", [[
A value in the graph of a model: model.inputs, model.outputs, layer:input(), layer:output(). Fields: name (of the layer
that makes it, or of the input), shape (-1: unknown), dtype, layer, key (where a model's inputs or outputs have names).]] },
  { "Input", 'cornu.Input{shape = {28, 28, 1} [, batch_size =, dtype =, name =]} → symbol', [[
An input of a model, to call layers and models on. shape is without the batch, batch_shape with it; nil holes cannot be in
Lua's lists: -1 is an unknown size.]] },
  { "Model", "cornu.Model{inputs = symbols, outputs = symbols [, name =]} → model", [[
The model between symbols: one, a list, or a table by name. They may come from cornu.Input, from layers called on symbols,
from model.inputs, model.outputs and layer:output() of any model. Layers and their weights are shared, never copied:
model:clone() copies. An input that the outputs need and that is not there is an error, which names it.]] },
  { "Sequential", "cornu.Sequential{layer, … [, name =]} → model", [[
Layers and models one after the other. The first may be cornu.Input or have an input_shape; else the first run
tells the shape. model:add(layer) and model:pop() change it.]] },
  { "layers", "cornu.layers.NAME{…} → layer", [[
Makes a layer of Keras with Keras's own arguments: cornu.layers.Dense{units = 10, activation = "relu", name = "fc"}. Those
that Keras requires, and the activation behind units, may come without a name: Dense{10, "relu"}, Conv2D{8, 3}. Axes count from 0 here, as in Keras. Weights come at the first call, with random
values by cornu.manual_seed. help "Dense" tells the arguments of one.]] },
  { "symbol:close", "symbol:close()", "Lets go of the symbol now." },
  { "layer:calls", "layer:calls() → number", "Shared layers have several calls." },
  { "layer:count_params", "layer:count_params() → number", "Elements of all weights." },
  { "layer:close", "layer:close()", "Lets go of the layer now." },
  -- making tensors
  { "tensor", "cornu.tensor(table | number | tensor [, dtype]) → tensor", [[
A tensor with the shape of the nested table, or a copy of a tensor. Numbers become float32 (models take floats),
booleans bool, unless dtype says otherwise: float32 float64 float16 bfloat16 int8 int16 int32 int64 uint8 uint16
uint32 uint64 bool. Indexing counts from 1, negative from the end: t[1] (a number of a vector, else a view),
t[{ {1, 10}, {}, 3, {-1, 1, -1} }] (ranges hold both ends; {} is all; a third number is the step),
t[mask] with a bool tensor, t[positions] with an integer tensor. t[…] = number, tensor or table writes through
views. + - * / % ^ // broadcast; t == u asks for the same object. For arithmetic a number takes the tensor's dtype
if it fits, as in NumPy 2: 2 and 2.0 are the same here.]] },
  { "zeros", "cornu.zeros(n, m, … | {n, m, …} [, dtype]) → tensor", "All 0." },
  { "ones", "cornu.ones(n, m, … | {n, m, …} [, dtype]) → tensor", "All 1." },
  { "empty", "cornu.empty(n, m, … | {n, m, …} [, dtype]) → tensor", "The same as zeros." },
  { "full", "cornu.full({n, m, …}, value [, dtype]) → tensor", "All value." },
  { "arange", "cornu.arange([start = 0,] stop [, step = 1] [, dtype]) → tensor",
    "start, start + step, … before stop, as in NumPy: stop is not part of it." },
  { "linspace", "cornu.linspace(first, last, n [, dtype]) → tensor",
    "n numbers at equal distance, both ends included." },
  { "eye", "cornu.eye(n [, m] [, dtype]) → tensor", "n rows, m columns, 1 on the diagonal." },
  { "rand", "cornu.rand(n, m, … | {…} [, dtype]) → tensor",
    "Uniform from 0 (included) to 1 (excluded). Repeats from run to run: see manual_seed." },
  { "randn", "cornu.randn(n, m, … | {…} [, dtype]) → tensor", "Normal, mean 0, deviation 1." },
  { "randint", 'cornu.randint(low, high, shape [, dtype = "int32"]) → tensor', "Whole numbers, both ends included." },
  { "manual_seed", "cornu.manual_seed(n)",
    "Restarts the random numbers; a run begins with seed 0. cornu.manual_seed(os.time()) varies." },
  { "frombytes", "cornu.frombytes(string, dtype [, shape]) → tensor",
    "Raw elements in this machine's byte order, row by row; one size may be -1." },
  -- tensor methods
  { "t:shape", "t:shape() → {n, m, …}", "Sizes, the batch included." },
  { "t:dtype", "t:dtype() → name", '"float32", "int64", "bool", …' },
  { "t:rank", "t:rank() → number", "How many dimensions." },
  { "t:size", "t:size([axis]) → number",
    "Elements in all, or along one axis (from 1, negative from the end). #t is t:size(1)." },
  { "t:totable", "t:totable() → table", "Nested tables; a scalar gives a number." },
  { "t:get", "t:get(i, j, …) → number", "One element by its positions, as t[{ i, j }], but leaving no garbage." },
  { "t:set", "t:set(i, j, …, v) → t", "Sets one element, as t[{ i, j }] = v, but leaving no garbage." },
  { "t:item", "t:item() → number", "The one element of a tensor that has one." },
  { "t:tobytes", "t:tobytes() → string", "Raw elements, row by row; frombytes reads them." },
  { "t:tostring", "t:tostring() → text", "As print shows it; see printoptions." },
  { "t:each", "for i, v in t:each() do … end", "Numbers of a vector; views along the first axis of other tensors." },
  { "t:map", "t:map(f) → tensor", "f of every element; slow beside cornu.exp and its like." },
  { "t:topk", "t:topk(k [, labels]) → {{index =, value =, label =}, …}",
    "The k largest along the last axis; a list of lists when there are several rows." },
  { "t:allclose", "t:allclose(u [, rtol = 1e-5 [, atol = 1e-8]]) → boolean, difference",
    "|t - u| ≤ atol + rtol |u| everywhere? And the largest |t - u|." },
  { "t:reshape", "t:reshape(n, m, … | {…}) → tensor",
    "One size may be -1 (what is left); -2 keeps the size at its place. A view where it can be one." },
  { "t:view", "t:view(n, m, … | {…}) → tensor", "The same as reshape." },
  { "t:flatten", "t:flatten([from = 1]) → tensor", "The axes from `from` on become one." },
  { "t:transpose", "t:transpose([axes…]) → tensor",
    "Without axes: reversed. Else all axes in their new order: t:transpose(2, 1, 3)." },
  { "t:t", "t:t() → tensor", "The same as transpose." },
  { "t:permute", "t:permute(axes…) → tensor", "The same as transpose." },
  { "t:expand_dims", "t:expand_dims(axis) → tensor", "A new axis of size 1 that will be the axis-th; -1 the last." },
  { "t:squeeze", "t:squeeze([axis | {axes}]) → tensor", "Without axes of size 1." },
  { "t:slice", "t:slice(axis, from, to [, step]) → tensor",
    "A view of part of an axis, both ends included; t:slice{…} is t[{…}]." },
  { "t:broadcast_to", "t:broadcast_to(n, m, … | {…}) → tensor", "A read-only view that repeats axes of size 1." },
  { "t:cast", "t:cast(dtype) → tensor",
    "Another dtype; floats to integers cut the fraction. t itself when it has that dtype." },
  { "t:float", "t:float() → tensor", "float32." },
  { "t:double", "t:double() → tensor", "float64." },
  { "t:int", "t:int() → tensor", "int32." },
  { "t:long", "t:long() → tensor", "int64." },
  { "t:bool", "t:bool() → tensor", "bool: not 0." },
  { "t:clone", "t:clone() → tensor", "A copy with memory of its own." },
  { "t:copy", "t:copy(u) → t", "Writes u into t, broadcasting and converting." },
  { "t:fill", "t:fill(value) → t", "Writes a number everywhere." },
  { "t:contiguous", "t:contiguous() → tensor", "t itself, or a copy whose elements lie row by row." },
  { "t:is_contiguous", "t:is_contiguous() → boolean", "Do the elements lie row by row without gaps?" },
  { "t:is_symbolic", "t:is_symbolic() → boolean",
    "Inside a traced custom layer tensors have a shape and a dtype, and no data." },
  { "t:ptr", "t:ptr() → light userdata", "The first element, for LuaJIT's ffi; keep t while it is in use." },
  { "t:close", "t:close()", "Frees the tensor now; closing twice is fine." },
  -- training
  { "optimizers", "cornu.optimizers.NAME{…} → optimizer", [[
An optimizer of Keras with Keras's own arguments, for model:compile: cornu.optimizers.Adam{learning_rate = 0.01}. It is a
table {class_name =, config =}, as Keras saves it. learning_rate is a number, one of cornu.optimizers.schedules, or a
function of the number of steps so far. A config with "decay" or "schedule_decay" means what Keras 1 and 2 mean by it.]] },
  { "optimizers.MultiOptimizer", "cornu.optimizers.MultiOptimizer{default, {[pattern] = optimizer, …} [, name =]} → optimizer", [[
An optimizer for each variable, by its name ("block1/conv/kernel"), which the pattern must match as a whole: small steps for
what is fine-tuned. cornu.optimizers.MultiOptimizer{cornu.optimizers.Adam{1e-3}, {["block.*"] = cornu.optimizers.SGD{1e-5}}}.
Patterns are Python's, of characters, ".", "[a-z]" and "*", "+", "?" behind them; default is for all others.]] },
  { "optimizers.schedules", "cornu.optimizers.schedules.NAME{…} → schedule", [[
A learning rate that changes with the steps: cornu.optimizers.schedules.ExponentialDecay{0.1, 1000, 0.9}. schedule(step)
is the rate of a step, which count from 0.]] },
  -- files
  { "save", "cornu.save(model, path [, weights] [, {keras = 2 or 3}]) → model", [[
model:save(path); or two files: the layers as JSON, and the weights, which cornu.load(path, weights) and real Keras read.]] },
  { "load_npz", "cornu.load_npz(path) → {name = tensor}", "NumPy's archive of arrays." },
  { "save_npz", "cornu.save_npz(path, {name = tensor} [, {compress = true}])", "NumPy's archive of arrays." },
  { "load_npy", "cornu.load_npy(path) → tensor", "One NumPy array." },
  { "load_idx", "cornu.load_idx(path) → tensor", "An array of MNIST's kind of file, plain or gzipped." },
  { "save_npy", "cornu.save_npy(path, tensor)", "One NumPy array." },
  { "json", "cornu.json",
    "decode, encode, list, array: JSON. null is cornu.null; lists carry the metatable cornu.json.array." },
  { "json.decode", "cornu.json.decode(text) → value",
    "null becomes cornu.null; lists get the metatable cornu.json.array." },
  { "json.encode", "cornu.json.encode(value [, indent]) → text",
    "Keys in alphabetical order. An empty table is {}; cornu.json.list{} is []." },
  { "json.list", "cornu.json.list([table]) → table", "Marks a table as a list." },
  { "null", "cornu.null", "JSON's null, in configs and decoded texts." },
  -- images
  { "image", "cornu.image",
    "load, save, resize, grey, preprocess, to_tensor, text, show. Pictures are uint8 (height, width, channels)." },
  { "image.load", "cornu.image.load(path [, options]) → tensor", [[
PNG or JPEG as uint8 (height, width, channels); channels = 1, 3 or 4 converts. With any other option of image.to_tensor
it gives what that gives: cornu.image.load("cat.png", {size = 224, mode = "caffe"}). The path may be {data = bytes}, as
in cornu.load.]] },
  { "image.save", 'cornu.image.save(path, t [, {range = {0, 1}}])',
    'PNG. Floats of the range become bytes; range = "auto": smallest to largest.' },
  { "image.resize", 'cornu.image.resize(img, {height, width} [, "bilinear" | "nearest" | "bicubic"]) → tensor',
    "An image or a batch; uint8 stays uint8." },
  { "image.grey", "cornu.image.grey(img) → tensor", "One channel: 0.299 red + 0.587 green + 0.114 blue." },
  { "image.preprocess", "cornu.image.preprocess(x, mode) → tensor", [[
From 0 … 255 to what models take: "unit" 0 … 1, "tf" -1 … 1, "torch" and "caffe" as keras.applications, "none".]] },
  { "image.to_tensor", "cornu.image.to_tensor(img [, options]) → tensor", [[
A float32 batch of one for a model. options: size = {height, width}, mode = "unit" (see image.preprocess), channels =,
invert = true (dark on light becomes light on dark), interpolation =, batch = false (no batch axis).]] },
  { "image.text", "cornu.image.text(t [, {width = 64, colour =, range =}]) → text",
    "A picture as text: half blocks in colour, or shades (NO_COLOR)." },
  { "image.show", "cornu.image.show(t [, options of image.text])", "Prints image.text." },
  -- datasets
  { "data", "cornu.data", [[
Datasets, for fit and for loops: for x, y, w in ds:batches{batch_size = 32, shuffle = true} do … end. x, y and w are tensors,
lists of tensors or tables by name. Makers: tensors, npy, npz, hdf5, images, idx, csv, generator. Methods: batches, map, take, skip, split, prefetch. ds.rows is the
number of rows, nil where nobody knows. Any table with a method batches serves as a dataset.]] },
  { "data.tensors", "cornu.data.tensors(x [, y [, w]]) → dataset", [[
Rows of tensors: each a tensor, a list of tensors or a table by name, all with the same number of rows. Batches are views,
unless they are shuffled.]] },
  { "data.npz", 'cornu.data.npz(path, {x = "name" [, y =, w =]}) → dataset', [[
Arrays of an .npz archive that may be larger than memory: rows are read batch by batch. x, y and w: the name of an array, a
list of names, or a table by name. Packed archives (compress = true) are read from the beginning to the end: rows are
shuffled within blocks of some 32 MB, and the blocks stay in order.]] },
  { "data.hdf5", 'cornu.data.hdf5(path, {x = "train/x" [, y =, w =, trusted =]}) → dataset', [[
The same of an HDF5 file, by paths within. Arrays in chunks are shuffled within blocks of some 32 MB, and the blocks, too.
trusted = true: libhdf5 may read what Cornu's own reader does not know, as in cornu.load.]] },
  { "data.npy", "cornu.data.npy(x [, y [, w]]) → dataset", "The same of .npy files, by their paths." },
  { "data.arrays", "cornu.data.arrays(path [, {trusted =}]) → {{name =, shape =, dtype =}, …}",
    "What a .npy, .npz or HDF5 file holds, without reading it." },
  { "data.images", "cornu.data.images(folder [, options]) → dataset", [[
PNG and JPEG files of a folder, as Keras's image_dataset_from_directory: each folder within is a class, in the order of
their names (ds.class_names). Pictures are decoded and resized by threads in the background. options:
  size = 256 or {height, width}, channels = 3 (1 grey, 4 with alpha), interpolation = "bilinear", crop_to_aspect_ratio =,
  pad_to_aspect_ratio =   the middle alone, or the whole with 0 around, so that nothing is stretched
  mode = "none"           0 … 255 as in Keras; "unit", "tf", "torch", "caffe": see image.preprocess
  label_mode = "int"      int32 from 0; "categorical": one-hot; "binary": (n, 1) of 0 and 1; false: no labels
  classes = {name, …}     other folders are left out; labels follow this order
  shuffle = true, seed = 0, validation_split = fraction, subset = "training" | "validation"
                          the files of each subset are those that Keras chooses for the same seed; "both" gives two
                          datasets, of which the second is not augmented
  augment = f or model    f(x, y, w) → x, y, w (or x alone) of each batch, such as data.mix_up{}; a model runs as in training:
                          RandomFlip, RandomRotation …
  batch_size = 32, skip_errors = true: leaves damaged pictures out]] },
  { "data.mix_up", "cornu.data.mix_up{alpha = 0.2, seed = 0} → f(x, y, w)", [[
For ds:map and augment: each sample of a batch becomes k of itself and 1 - k of another, with its labels (one-hot); k is a beta
number of the shape alpha, as in the layer MixUp, which mixes images alone.]] },
  { "data.cut_mix", "cornu.data.cut_mix{factor = 1, seed = 0} → f(x, y, w)", [[
The same with a rectangle of another image, as the layer CutMix; labels are mixed by its share of the pixels.]] },
  { "data.idx", "cornu.data.idx(images [, labels [, options]]) → dataset", [[
The files of MNIST, plain or gzipped. options: mode = "unit" (see image.preprocess), data_format = "channels_first" or
"channels_last" gives the pictures an axis for their one channel.]] },
  { "data.csv", "cornu.data.csv(path [, options]) → dataset", [[
Numbers of a text file, a row in each line. options: target = a column's name or number: what becomes y (a list of them: y
has several columns); columns = {…}: those that become x (all others); header = true | false (else: is the first line
numbers?), separator = ",", dtype = "float32". ds.column_names tells the header.]] },
  { "data.generator", "cornu.data.generator(f) → dataset", [[
Batches that a function makes. f(options) is called at the beginning of each pass (options: batch_size, epoch, seed …) and
returns an iterator over x, y, w; or f itself is called for each batch, and returns nil at the end.]] },
  { "ds:batches", "ds:batches{batch_size = 32, shuffle = false, seed = 0, epoch = 1, drop_remainder = false} → iterator", [[
One pass over the rows. Shuffled, the order follows from seed and epoch alone, on every machine; drop_remainder leaves a last
batch out that is smaller than the others.]] },
  { "ds:map", "ds:map(f) → dataset", "The batches that f(x, y, w) returns for those of ds, as x, y, w." },
  { "ds:take", "ds:take(n) → dataset", "The first n rows; of a generator: the first n batches." },
  { "ds:skip", "ds:skip(n) → dataset", "All but the first n rows; of a generator: batches." },
  { "ds:split", "ds:split(fraction) → dataset, dataset",
    "The first rows, and the last ones: that fraction of all, before shuffling, as Keras's validation_split." },
  { "ds:prefetch", "ds:prefetch(n) → dataset", [[
Reads n batches ahead in the background where they come from files (0: none). Functions of map and generators stay where they
are: Lua has one thread.]] },
  { "to_categorical", "cornu.to_categorical(labels [, num_classes]) → tensor",
    "One-hot rows, float32, as Keras's: labels count from 0." },
  { "pad_sequences", "cornu.pad_sequences({sequence, …} [, options]) → tensor", [[
One row for each sequence (numbers, samples or a tensor), filled up or cut to one length, as Keras's. options: maxlen (the
longest), dtype = "int32", padding = "pre" | "post", truncating = "pre" | "post", value = 0.]] },
  { "timeseries", "cornu.timeseries(data, targets, options) → dataset", [[
Windows of rows, as Keras's timeseries_dataset_from_array: sequence_length = n rows, each sampling_rate = 1 after the other;
windows begin sequence_stride = 1 rows apart, between the rows start_index and end_index, which count from 1 and belong to
it. targets: nil, or rows of which a window gets the one at the number of its first row. Also batch_size = 128, shuffle, seed.]] },
  { "grad", "cornu.grad(f) → function", [[
A function of tensors that returns the gradients of f(x, …), one number such as y:sum(), with respect to each of them (nil:
of integers). f is called once with symbolic tensors at each call: it may refer to other tensors, but not look at values.]] },
  { "value_and_grad", "cornu.value_and_grad(f) → function", "The same, with the value of f before the gradients." },
  -- the process
  { "help", "cornu.help([x | word]) → text",
    "This. x: a function, method, layer type, tensor, model; a word searches." },
  { "clock", "cornu.clock() → seconds", "Monotonic, for measuring." },
  { "set_threads", "cornu.set_threads(n)", "Threads for each run; results are the same bits for any n." },
  { "get_threads", "cornu.get_threads() → number", "Threads for each run." },
  { "isa", "cornu.isa() → text", 'The kernels in use: "sse2", "avx2", "avx512". The variable CORNU_ISA forces one.' },
  { "memory", "cornu.memory() → bytes, bytes", "What the engine holds, and what this Lua state's tensors hold of it." },
  { "version", "cornu.version", "The version as text." },
  { "type", 'cornu.type(v) → "tensor", "model", "layer", "plan", "runner", "symbol" or nil', "Which of Cornu's objects v is." },
  { "printoptions", "cornu.printoptions{precision =, threshold =, edge_items =, line_width =} → table",
    "How tensors print; 0 restores the standard (4, 1000, 3, 80)." },
  { "ops", "cornu.ops", 'All operations by name; each is cornu.NAME and t:NAME too. help "ops" lists them.' },
  { "initializers", "cornu.initializers.NAME{…}", [[
How a weight begins: L.Dense{10, kernel_initializer = cornu.initializers.HeNormal{seed = 1}}; a name alone does, too:
"he_normal". Names and arguments are Keras's.]] },
  { "regularizers", "cornu.regularizers.NAME{…}", [[
What the size of a weight, or of what a layer gives, adds to the loss: L.Dense{10, kernel_regularizer =
cornu.regularizers.L2(0.01)}. Layers have kernel_regularizer, bias_regularizer, activity_regularizer, …]] },
  { "constraints", "cornu.constraints.NAME{…}", [[
What becomes of a weight after each step of training: L.Dense{10, kernel_constraint = cornu.constraints.MaxNorm{2}}. The
axes over which norms are taken count from 0, as in Keras's configs.]] },
  { "op_types", "cornu.op_types() → list", "The registry of operations: name, help, fields." },
  { "layer_types", "cornu.layer_types() → list",
    "The registry of layers: name, aliases, versions, weights, help, fields. Shell: cornu layers." },
  { "operation_types", "cornu.operation_types() → list",
    "The registry of keras.ops's classes that may be nodes of a model: name, arguments, help, fields." },
}

local overview = [[
Cornu %s: Keras models in Lua.
  m = cornu.load "model.keras"      y = m(x)      print(m)      m:slice("a", "b")      m:layer "conv1":weights()
  x = cornu.tensor{{1, 2}, {3, 4}}      x[1]      x[{ {1, 2}, -1 }]      x:sum(1)      cornu.exp(x)
Positions, axes and layers count from 1, negative from the end; only Keras configs keep Keras's 0-based axes.
help(x) for a function, a method or a layer type; help "word" searches; help "tensor", "model", "layer", "image", "data", "ops",
"layers", "keras.ops" for an overview.]]

return function(cornu)
  local function describe_op(op)
    local names, inputs = {}, {}
    for _, f in ipairs(op.fields) do names[#names + 1] = f.name end
    for i = 1, math.max(1, op.max_inputs < 0 and 1 or op.min_inputs) do
      inputs[i] = ("t u v w"):match(("%S "):rep(i - 1) .. "(%S)") or "x" .. i
    end
    if op.max_inputs < 0 then inputs = { "{t, u, …}" }
    elseif op.max_inputs > op.min_inputs then inputs[#inputs + 1] = "…" end
    local arguments = table.concat(inputs, ", ") .. (#names > 0 and " [, " .. table.concat(names, ", ") .. "]" or "")
    local lines = { ("cornu.%s(%s)"):format(op.name, arguments) }
    if op.help then lines[#lines + 1] = op.help end
    for _, line in ipairs(registry.field_lines(op.fields)) do lines[#lines + 1] = line end
    for _, f in ipairs(op.fields) do
      if f.name == "axis" or f.name == "axes" or f.name == "perm" then
        lines[#lines + 1] = "Axes count from 1 here, negative from the end."
        break
      end
    end
    if op.name == "argmax" or op.name == "argmin" then lines[#lines + 1] = "Positions count from 1." end
    if op.name == "gather" or op.name == "one_hot" then
      lines[#lines + 1] = "Positions count from 1: add 1 to ids that count from 0."
    end
    if op.aliases then lines[#lines + 1] = "also: " .. op.aliases end
    return table.concat(lines, "\n")
  end

  -- topics[i] = {name, short line, full text}; made at the first use.
  local topics, by_name, by_function

  local function add(name, short, full)
    local topic = { name = name, short = short, full = full }
    topics[#topics + 1] = topic
    by_name[name] = by_name[name] or topic
    return topic
  end

  local function value_at(path)
    local class, method = path:match "^(%a+):(.+)$"
    if class then return (core[(class == "t" and "tensor" or class) .. "_methods"] or {})[method] end
    local v = cornu
    for name in path:gmatch "[^.]+" do v = type(v) == "table" and v[name] or nil end
    return v
  end

  local function add_texts(entries)
    for _, entry in ipairs(entries) do
      local topic = add(entry[1], entry[2], entry[2] .. "\n" .. entry[3])
      local f = value_at(entry[1])
      if type(f) == "function" or type(f) == "table" then by_function[f] = by_function[f] or topic end
    end
  end

  local function add_ops()
    for _, op in ipairs(core.op_types()) do
      if not by_name["t:" .. op.name] then -- shape operations have methods of their own
        local full = describe_op(op)
        local topic = add(op.name, full:match "^[^\n]*", full)
        for _, alias in ipairs(registry.words(op.aliases)) do by_name[alias] = by_name[alias] or topic end
        if core.ops[op.name] then by_function[core.ops[op.name]] = topic end
      end
    end
    for name, f in pairs(core.ops) do by_name[name] = by_name[name] or by_function[f] end
  end

  -- makers: where the constructors of the classes are, if anywhere
  local function add_classes(entries, prefix, makers)
    for _, entry in ipairs(entries) do
      local short = registry.signature(entry)
      local topic = add(prefix .. entry.name, #short > 60 and short:sub(1, 57) .. "…" or short, registry.describe(entry))
      by_name[entry.name] = by_name[entry.name] or topic
      for _, alias in ipairs(entry.aliases) do by_name[alias] = by_name[alias] or topic end
      local f = makers and rawget(makers, entry.name)
      if f then by_function[f] = topic end
      for _, alias in ipairs(f and entry.aliases or {}) do by_function[rawget(makers, alias) or f] = topic end
    end
  end

  local function prepare()
    if topics then return end
    topics, by_name, by_function = {}, {}, {}
    add_texts(text)
    add_texts(require "cornu.help_training")
    add_ops()
    add_classes(registry.layers(), "", cornu.layers)
    add_classes(registry.operations(), "keras.ops.")
    add_classes(require "cornu.losses".family.entries, "losses.", cornu.losses)
    add_classes(require "cornu.metrics".family.entries, "metrics.", cornu.metrics)
    add_classes(require "cornu.callbacks".family.entries, "callbacks.", cornu.callbacks)
    add_classes(registry.optimizers(), "optimizers.", cornu.optimizers)
    add_classes(registry.schedules(), "optimizers.schedules.", cornu.optimizers.schedules)
    for _, kind in ipairs { "initializer", "regularizer", "constraint" } do
      add_classes(registry.parts(kind), kind .. "s.", cornu[kind .. "s"])
    end
  end

  local function list_of(title, names)
    table.sort(names)
    local lines, line = { title }, " "
    for _, name in ipairs(names) do
      if #line + #name > 98 then
        lines[#lines + 1] = line
        line = " "
      end
      line = line .. " " .. name
    end
    lines[#lines + 1] = line
    return table.concat(lines, "\n")
  end

  local function names_in(list)
    local names = {}
    for _, item in ipairs(list) do names[#names + 1] = item.name end
    return names
  end

  local function methods_text(class, prefix)
    local names = {}
    for name in pairs(core[class .. "_methods"]) do
      if class ~= "tensor" or not core.ops[name] or by_name["t:" .. name] then names[#names + 1] = prefix .. name end
    end
    return list_of("Methods:", names)
  end

  local function search(word)
    local found, wanted = {}, word:lower()
    for _, topic in ipairs(topics) do
      if topic.name:lower():find(wanted, 1, true) or topic.full:lower():find(wanted, 1, true) then
        found[#found + 1] = topic
      end
    end
    if #found == 0 then return ('No help on "%s". help() tells where to begin.'):format(word) end
    if #found == 1 then return found[1].full end
    table.sort(found, function(a, b)
      local na, nb = a.name:lower():find(wanted, 1, true) ~= nil, b.name:lower():find(wanted, 1, true) ~= nil
      if na ~= nb then return na end
      return a.name < b.name
    end)
    local lines = { ('Topics with "%s":'):format(word) }
    for i, topic in ipairs(found) do
      if i > 40 then
        lines[#lines + 1] = ("  … %d more"):format(#found - 40)
        break
      end
      lines[#lines + 1] = "  " .. topic.name .. (" "):rep(22 - #topic.name) .. " " .. topic.short
    end
    return table.concat(lines, "\n")
  end

  -- Other topics whose names hold the word of a short topic: "conv" is an op, and Conv2D a layer.
  local function see_also(name, own)
    local others = {}
    for _, topic in ipairs(topics) do
      if topic ~= own and topic.name:lower():find(name:lower(), 1, true) then others[#others + 1] = topic.name end
    end
    if #others == 0 or #others > 40 then return "" end
    table.sort(others)
    return ('\nTopics with "%s": %s'):format(name, table.concat(others, ", "))
  end

  local function by_word(word)
    local name = word:gsub("^cornu[.]", ""):gsub("^tensor[.:]", "t:"):gsub("^(%a+)[.](%a+)$", function(a, b)
      if a == "model" or a == "layer" or a == "plan" or a == "runner" or a == "symbol" then return a .. ":" .. b end
    end)
    if name == "ops" then
      return list_of("Operations, as cornu.NAME(t, …) and t:NAME(…):", names_in(core.op_types()))
    end
    local kind = name:match "^(%a+)s$"
    if kind == "initializer" or kind == "regularizer" or kind == "constraint" then
      return by_name[name].full .. "\n" .. list_of("There are:", names_in(registry.parts(kind)))
    end
    if name == "layers" then
      return by_name.layers.full .. "\n" .. list_of("Layers:", names_in(registry.layers()))
    end
    if name == "optimizers" then
      return by_name.optimizers.full .. "\n" .. list_of("Optimizers:", names_in(registry.optimizers()))
    end
    if name == "optimizers.schedules" or name == "schedules" then
      return by_name["optimizers.schedules"].full .. "\n" .. list_of("Schedules:", names_in(registry.schedules()))
    end
    if name == "keras.ops" or name == "operations" then
      return list_of("Operations of keras.ops that may be nodes of a model:", names_in(registry.operations()))
    end
    local topic = by_name[name] or by_name["t:" .. name] or by_name["model:" .. name] or by_name["layer:" .. name] or
      by_name[name:match "^t:(.+)$" or name]
    if not topic then return search(word) end
    if name == "tensor" or name == "model" or name == "layer" or name == "symbol" then
      return topic.full .. "\n" .. methods_text(name, name == "tensor" and "t:" or name .. ":")
    end
    return topic.full .. see_also(name, topic)
  end

  return function(x)
    prepare()
    if x == nil then return overview:format(cornu.version) end
    if type(x) == "string" then return by_word(x) end
    local meta = type(x) == "table" and getmetatable(x)
    if type(meta) == "table" and meta.__help then return by_word(meta.__help) end
    if by_function[x] then return by_function[x].full end
    local class = core.type(x)
    if class == "layer" then return tostring(x) .. "\n" .. by_word(x.class_name) end
    if class then return by_word(class) end
    if type(x) == "table" then
      if x == cornu then return overview:format(cornu.version) end
      local named = rawget(x, "class_name") or rawget(x, "name")
      if type(named) == "string" then return by_word(named) end
    end
    return ("No help on a %s."):format(type(x))
  end
end
