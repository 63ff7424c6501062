-- The entries of help on training: as `text` of cornu.help.
return {
  { "model:compile", "model:compile{optimizer =, loss = [, metrics =, …]} → model", [[
Says what the model is trained for and judged by. optimizer: a name ("adam"), an
object of cornu.optimizers, {class_name =, config =}; default "rmsprop".
loss: a name ("mse", "sparse_categorical_crossentropy"; "crossentropy" is the one that fits the shapes), one of
cornu.losses, or a function (y_true, y_pred) → values of symbolic tensors; of several outputs a list in their order (false:
none) or a table by name, as are loss_weights = and metrics =.
  metrics = {"accuracy", cornu.metrics.AUC{}, function(y_true, y_pred) … end, {name = "n", function … end}}
  weighted_metrics = {…}  the same, counted with the weights of samples and classes
  resume = true           of a loaded model: what is not given here is as its file says, and the optimizer goes on with
                          the state that the file keeps
  seed = n                of initial weights, dropout and shuffling; default: drawn from cornu.manual_seed's numbers
  steps_per_execution = 1, run_eagerly = false, jit_compile =, auto_scale_loss =    as in Keras, where they say what is done
                          here anyway: plans are compiled, batches run one by one, float32 computes
Compiling anew forgets the optimizer's state, but for resume. Layers frozen with layer.trainable = false stay as they are: freeze first.
An operation without a gradient behind weights that train is an error.]] },
  { "model:compiled", "model:compiled() → table or nil", "The options of model:compile." },
  { "model:fit", "model:fit(x, y [, options]) → history", [[
Trains. x, y: tensors, or lists or tables by name where there are several; or a dataset (help "data") or a function that
gives x, y, weights of samples for each step and nil at the end of an epoch: model:fit(data, options). options:
  epochs = 1, batch_size = 32, initial_epoch = 0    epochs count from 1; initial_epoch of them are done
  validation_data = {x, y [, w]} or a dataset; validation_split = 0.2 takes the last rows; validation_freq = 1,
  validation_steps =, validation_batch_size =
  shuffle = true, seed =                            the order of rows, anew in each epoch, repeatable
  class_weight = {[0] = 1, [1] = 5}, sample_weight = tensor
  steps_per_epoch =                                 batches of an epoch; the next one goes on in the data, as in Keras
  callbacks = {…}                                   help "callbacks"
  verbose = 0, 1 (a bar), 2 (a line for each epoch); default: what suits the output
history.loss[i], history.val_loss[i] … are those of the i-th epoch. Ctrl-C ends the training after the batch.
Labels of sparse losses count from 0.]] },
  { "model:evaluate", "model:evaluate(x, y [, options]) → {loss =, …}", [[
Loss and metrics by name. x may be a dataset. options: batch_size = 32, sample_weight =, steps =, callbacks =,
verbose = 0; return_dict = false gives a list, the loss first.]] },
  { "model:train_on_batch", "model:train_on_batch(x, y [, {sample_weight =, class_weight =}]) → {loss =, …}",
    "One step of the optimizer; loss and metrics of this batch alone, before the step. return_dict = false gives a list." },
  { "model:test_on_batch", "model:test_on_batch(x, y [, {sample_weight =, class_weight =}]) → {loss =, …}",
    "Loss and metrics of one batch." },
  { "model:learning_rate", "model:learning_rate([rate]) → rate",
    "Of the optimizer of a compiled model; sets it when given." },
  { "model:trainer", "model:trainer() → trainer", [[
What trains a compiled model: steps(), rate(), set_rate(rate); optimizer([keras3]), its settings with the rate of now;
state([keras3]), a list of {name =, value =} of all that the optimizer keeps, in the order in which Keras saves it, and
set_state(list); runs() and set_runs(n), the number from which random numbers follow; finish(), after the last batch: with
use_ema the averages take the weights' places, as fit does it; profile(inputs, targets), which takes a step and lists the
operations of its plan with their seconds.]] },
  { "plot", "cornu.plot", "Pictures: lines." },
  { "plot.lines", "cornu.plot.lines{line, …; path =, title =, x =, y =} → tensor", [[
Draws lines over axes and gives the picture, uint8 (height, width, 3); path: a PNG file that it is written to. A line is a
list of numbers or a tensor, or {y = numbers, x = numbers, name =, dash = true, colour = {red, green, blue}}; without x the
places count from 1. options: title, x and y (texts at the axes), log = true (powers of ten along y), width = 640,
height = 400. cornu.plot.lines{{name = "loss", y = history.history.loss}, path = "loss.png"}.]] },
  { "losses", "cornu.losses", [[
Keras's losses. cornu.losses.Huber{delta = 0.5} is an object for model:compile; loss(y_true, y_pred [, weight, mask])
gives its value as a tensor. All take name = and reduction = "sum_over_batch_size" (the mean), "sum",
"mean_with_sample_weight" or "none". cornu.losses.huber(y_true, y_pred [, settings]) gives the value of each sample. They are
made of differentiable operations of tensors, as losses of your own are.]] },
  { "losses.get", "cornu.losses.get(v) → loss", "From a name, {class_name =, config =} or a function." },
  { "metrics", "cornu.metrics", [[
Keras's metrics: cornu.metrics.AUC{curve = "PR"} for model:compile, or by hand: metric:update_state(y_true, y_pred [, weight,
mask]), metric:result() → number (a tensor where there are several), metric:reset_state().]] },
  { "metrics.get", "cornu.metrics.get(v) → metric", "From a name, {class_name =, config =}, a loss or a function." },
  { "callbacks", "cornu.callbacks", [[
What model:fit calls while it trains: {callbacks = {cornu.callbacks.EarlyStopping{patience = 3}, {on_epoch_end = f}}}. One of
your own is a table with any of the functions
  on_train_begin(self)  on_epoch_begin(self, epoch)  on_train_batch_begin(self, batch)
  on_train_batch_end(self, batch, logs)  on_epoch_end(self, epoch, logs)  on_train_end(self, logs)
  on_test_begin(self)  on_test_batch_begin(self, batch)  on_test_batch_end(self, batch, logs)  on_test_end(self, logs)
Epochs and batches count from 1; logs is a table by name. self.run: {model =, trainer =, epochs =, steps =, batch_size =};
self.run:stop() ends the training after the batch.]] },
  { "callbacks.Callback", "cornu.callbacks.Callback{on_epoch_end = f, …} → callback",
    "The table itself: any table of such functions is a callback." },
  { "callbacks.History", "cornu.callbacks.History() → callback", "What model:fit returns: history.loss[i]." },
}
