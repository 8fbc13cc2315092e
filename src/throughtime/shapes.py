"""The shape letters used in every docstring, defined once.

Time is the first dimension everywhere below a layer's door.

T: time steps of a sequence
B: sequences in a batch
I: input size, the features of x_t
H: hidden size, the features of h_t
G: gates of a cell; its stacked pre-activations have G * H features
P: projection size of a projected LSTM, the features of its h_t
V: vocabulary size
N: tokens in a text
L: layers of a stack
D: directions, 2 if bidirectional, else 1
"""
