-- Names for the prompt after the demo: model, labels, x.
local folder = arg[0]:match "^(.*)/[^/]*$" or "."
package.path = folder .. "/?.lua;" .. package.path
digits = require "digits"
model, labels, x = digits.model(), digits.labels(), digits.input(folder .. "/images/03_label9.png")
print 'Try: model(x)   model[{1, 3}](x):shape()   model:layer("conv1"):weights()[1]   help(model.predict)'
