"""Text, vocabularies, streams and synthetic problems."""

from throughtime.data.corpus import default_corpus as default_corpus
from throughtime.data.files import read_blocks as read_blocks
from throughtime.data.files import read_text as read_text
from throughtime.data.one_hot import one_hot as one_hot
from throughtime.data.split import split as split
from throughtime.data.streams import evaluation_streams as evaluation_streams
from throughtime.data.streams import shift_pairs as shift_pairs
from throughtime.data.streams import streams as streams
from throughtime.data.synthetic import adding as adding
from throughtime.data.synthetic import copy_memory as copy_memory
from throughtime.data.synthetic import temporal_order as temporal_order
from throughtime.data.text import Text as Text
from throughtime.data.token_file import TokenFile as TokenFile
from throughtime.data.vocabulary import Vocabulary as Vocabulary
from throughtime.data.vocabulary import build_vocabulary as build_vocabulary
from throughtime.data.vocabulary import load_vocabulary as load_vocabulary
