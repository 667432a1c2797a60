"""The tables of ``workflow_matrix``: what each fault means for each call, and what that leads to.

The words of the cells stand in ``workflow_matrix.WORDS``. A way is: the call, the word, how often
the call is made (when it can be reached at all), then the attempts in their order: a tier, and
after ``!`` why it failed.
"""

from typing import Final

FAST: Final = """
fault              fast       other      conv       alone      openai  open1   gemini
429 seconds        busy       busy       busy       busy       busy    busy    busy
429 date           later      later      later      later      later   later   later
429 bare           busy       busy       busy       busy       busy    busy    busy
500                busy       busy       busy       busy       busy    busy    busy
502 html           busy       busy       busy       busy       busy    busy    busy
503                busy       busy       busy       busy       busy    busy    busy
504                busy       busy       busy       busy       busy    busy    busy
refused            busy       busy       busy       busy       busy    busy    busy
no such host       busy       busy       busy       busy       busy    busy    busy
no tls             busy       busy       busy       busy       busy    busy    busy
connect time-out   busy       busy       busy       busy       busy    busy    busy
read time-out      busy       busy       busy       busy       busy    busy    busy
one byte a second  busy       busy       busy       busy       busy    busy    busy
reset in the body  busy       busy       busy       busy       busy    busy    busy
wrong length       busy       busy       busy       busy       busy    busy    busy
chunked abort      busy       busy       busy       busy       busy    busy    busy
empty 200          malformed  malformed  malformed  malformed  broken  broken  malformed
broken json        malformed  malformed  malformed  malformed  broken  broken  malformed
wrong types        malformed  malformed  malformed  malformed  broken  broken  malformed
missing fields     malformed  malformed  malformed  malformed  broken  broken  malformed
nan                malformed  malformed  malformed  malformed  ok      ok      malformed
duplicate keys     ok         ok         ok         ok         ok      ok      ok
bad utf-8          malformed  malformed  malformed  malformed  broken  broken  malformed
100 MB             malformed  malformed  malformed  malformed  malformed  malformed  malformed
gzip bomb          malformed  malformed  malformed  malformed  broken  broken  malformed
redirect           broken     broken     broken     broken     broken  broken  broken
401                out        out        out        out        out     out     out
402                out        out        out        out        out     out     out
403                out        out        out        out        out     out     out
413                long       long       long       long       long    long    long
415                format     format     format     format     format  format  format
429 near date      busy       busy       busy       busy       busy    busy    busy
"""
"""Calls that send the recording and get its words."""

BATCH: Final = """
fault              submit  list    status  files   report  content  delete  stage   remove
429 seconds        busy    busy    busy    busy    busy    busy     busy    busy    busy
429 date           later   later   busy    busy    busy    busy     later   later   later
429 bare           busy    busy    busy    busy    busy    busy     busy    busy    busy
500                busy    busy    busy    busy    busy    busy     busy    busy    busy
502 html           busy    busy    busy    busy    busy    busy     busy    busy    busy
503                busy    busy    busy    busy    busy    busy     busy    busy    busy
504                busy    busy    busy    busy    busy    busy     busy    busy    busy
refused            busy    busy    busy    busy    busy    busy     busy    busy    busy
no such host       busy    busy    busy    busy    busy    busy     busy    busy    busy
no tls             busy    busy    busy    busy    busy    busy     busy    busy    busy
connect time-out   busy    busy    busy    busy    busy    busy     busy    busy    busy
read time-out      found   busy    busy    busy    busy    busy     cut     busy    busy
one byte a second  found   busy    busy    busy    busy    busy     ok      ok      ok
reset in the body  found   busy    busy    busy    busy    busy     ok      ok      ok
wrong length       found   busy    busy    busy    busy    busy     ok      busy    busy
chunked abort      found   busy    busy    busy    busy    busy     ok      busy    busy
empty 200          unread  again   again   again   again   again    ok      ok      ok
broken json        unread  again   again   again   again   again    ok      again   again
wrong types        unread  again   again   again   again   again    ok      ok      ok
missing fields     unread  again   again   again   again   again    ok      ok      ok
nan                ok      ok      ok      ok      ok      again    ok      ok      ok
duplicate keys     ok      ok      ok      ok      ok      ok       ok      ok      ok
bad utf-8          unread  again   again   again   again   again    ok      again   again
100 MB             unread  again   again   again   again   again    ok      again   again
gzip bomb          unread  again   again   again   again   again    again   again   again
redirect           broken  broken  broken  broken  broken  broken   broken  broken  broken
401                out     out     out     out     out     out      out     out     out
402                out     out     out     out     out     out      out     out     out
403                out     out     out     out     out     out      out     out     out
413                broken  broken  broken  broken  broken  broken   broken  broken  broken
415                broken  broken  broken  broken  broken  broken   broken  broken  broken
429 near date      busy    busy    busy    busy    busy    busy     busy    busy    busy
"""
"""Calls of Azure's batch, and of the blobs it reads from."""

FILES: Final = """
fault              begin      upload     look       forget     g-head     a-head     o-head
429 seconds        busy       busy       busy       left       busy       busy       busy
429 date           later      later      later      left       busy       busy       busy
429 bare           busy       busy       busy       left       busy       busy       busy
500                busy       busy       busy       left       busy       busy       busy
502 html           busy       busy       busy       left       busy       busy       busy
503                busy       busy       busy       left       busy       busy       busy
504                busy       busy       busy       left       busy       busy       busy
refused            busy       busy       busy       left       busy       busy       busy
no such host       busy       busy       busy       left       busy       busy       busy
no tls             busy       busy       busy       left       busy       busy       busy
connect time-out   busy       busy       busy       left       busy       busy       busy
read time-out      busy       cut        busy       ok         busy       busy       busy
one byte a second  busy       cut        busy       ok         busy       busy       busy
reset in the body  busy       cut        busy       ok         busy       busy       busy
wrong length       busy       cut        busy       ok         busy       busy       busy
chunked abort      busy       cut        busy       ok         busy       busy       busy
empty 200          ok         malformed  malformed  ok         malformed  malformed  malformed
broken json        ok         malformed  malformed  ok         malformed  malformed  malformed
wrong types        ok         malformed  malformed  ok         malformed  malformed  malformed
missing fields     ok         malformed  malformed  ok         malformed  malformed  malformed
nan                ok         ok         ok         ok         malformed  malformed  malformed
duplicate keys     ok         ok         ok         ok         ok         ok         ok
bad utf-8          ok         malformed  malformed  ok         malformed  malformed  malformed
100 MB             malformed  malformed  malformed  ok         malformed  malformed  malformed
gzip bomb          malformed  malformed  malformed  ok         malformed  malformed  malformed
redirect           broken     broken     broken     left       broken     broken     broken
401                out        out        out        left       out        out        out
402                out        out        out        left       out        out        out
403                out        out        out        left       out        out        out
413                long       long       long       left       long       long       long
415                format     format     format     left       out        out        out
429 near date      busy       busy       busy       left       busy       busy       busy
"""
"""Calls of Gemini's file store, and headlines."""


WAYS: Final = """
fast    busy      2      fast!busy > fast!busy > other
fast    later     1      fast!busy > other
fast    malformed 1      fast!malformed > other
fast    ok        1      fast
fast    broken    1      fast!broken > other
fast    out       1      fast!other-key > fast
fast    long      1      fast!long > batch
fast    format    2      fast!format > conv!format > batch
other   busy      2      fast!busy > fast!busy > other!busy > other!busy > openai
other   later     1      fast!busy > fast!busy > other!busy > openai
other   malformed 1      fast!busy > fast!busy > other!malformed > openai
other   ok        1      fast!busy > fast!busy > other
other   broken    1      fast!busy > fast!busy > other!broken > openai
other   out       1      fast!busy > fast!busy > other!out > openai
other   long      1      fast!busy > fast!busy > other!long > openai
other   format    2      fast!busy > fast!busy > other!format > other!format > openai
conv    busy      2      conv!busy > conv!busy > openai
conv    later     1      conv!busy > openai
conv    malformed 1      conv!malformed > openai
conv    ok        1      conv
conv    broken    1      conv!broken > openai
conv    out       1      conv!out > openai
conv    long      1      conv!long > openai
conv    format    1      conv!format > openai
alone   busy      2      fast!busy > fast!busy
alone   later     1      fast!busy
alone   malformed 1      fast!malformed
alone   ok        1      fast
alone   broken    1      fast!broken
alone   out       1      fast!out
alone   long      1      fast!long
alone   format    2      fast!format > fast!format
submit  busy      2      batch!busy > batch!busy > openai
submit  later     1      batch!busy > openai
submit  found     1      batch!busy > batch
submit  unread    1      batch!malformed > batch
submit  ok        1      batch
submit  broken    1      batch!broken > openai
submit  out       1      batch!out > openai
list    busy      3-60   batch!busy > batch!busy > openai
list    later     3      batch!busy > openai
list    again     3-60   batch!malformed > batch!malformed > openai
list    ok        2      batch
list    broken    3      batch!broken > openai
list    out       1      batch!out > openai
status  busy      12-14  batch!busy > openai
status  again     12-14  batch!malformed > openai
status  ok        3      batch
status  broken    1      batch!broken > openai
status  out       1      batch!out > openai left=1
files   busy      12-14  batch!busy > openai
files   again     12-14  batch!malformed > openai
files   ok        1      batch
files   broken    1      batch!broken > openai
files   out       1      batch!out > openai left=1
report  busy      12-14  batch!busy > openai
report  again     12-14  batch!malformed > openai
report  ok        1      batch
report  broken    1      batch!broken > openai
report  out       1      batch!out > openai left=1
content busy      12-14  batch!busy > openai
content again     12-14  batch!malformed > openai
content ok        1      batch
content broken    1      batch!broken > openai
content out       1      batch!out > openai left=1
delete  busy      1-60   batch left=1
delete  cut       1      batch
delete  later     1      batch left=1
delete  ok        1      batch
delete  again     1      batch
delete  broken    1      batch left=1
delete  out       1      batch left=1
stage   busy      2      batch!busy > batch!busy > openai
stage   later     1      batch!busy > openai
stage   ok        1      batch
stage   again     2      batch!malformed > batch!malformed > openai
stage   broken    1      batch!broken > openai
stage   out       1      batch!out > openai
remove  busy      1-60   batch
remove  later     1      batch
remove  ok        1      batch
remove  again     2-60   batch
remove  broken    1      batch
remove  out       1      batch
openai  busy      2      openai!busy > openai!busy > fast
openai  later     1      openai!busy > fast
openai  malformed 1      openai!malformed > fast
openai  broken    1      openai!broken > fast
openai  ok        1      openai
openai  out       1      openai!out > fast
openai  long      1      openai!long > fast
openai  format    2      openai!format > openai!format > fast
open1   busy      2      openai!busy > openai!busy
open1   later     1      openai!busy
open1   malformed 1      openai!malformed
open1   broken    1      openai!broken
open1   ok        1      openai
open1   out       1      openai!out
open1   long      1      openai!long
open1   format    2      openai!format > openai!format
gemini  busy      2      gemini!busy > gemini!busy > openai
gemini  later     1      gemini!busy > openai
gemini  malformed 1      gemini!malformed > openai
gemini  ok        1      gemini
gemini  broken    1      gemini!broken > openai
gemini  out       1      gemini!out > openai
gemini  long      1      gemini!long > openai
gemini  format    2      gemini!format > gemini!format > openai
begin   busy      2      gemini!busy > gemini!busy > openai
begin   later     1      gemini!busy > openai
begin   ok        1      gemini
begin   malformed 1      gemini!malformed > openai
begin   broken    1      gemini!broken > openai
begin   out       1      gemini!out > openai
begin   long      1      gemini!long > openai
begin   format    1      gemini!format > gemini
upload  busy      2      gemini!busy > gemini!busy > openai
upload  later     1      gemini!busy > openai
upload  cut       2      gemini!busy > gemini!busy > openai left=2
upload  malformed 1      gemini!malformed > openai left=1
upload  ok        1      gemini
upload  broken    1      gemini!broken > openai
upload  out       1      gemini!out > openai
upload  long      1      gemini!long > openai
upload  format    1      gemini!format > gemini
look    busy      1      gemini!busy > gemini
look    later     1      gemini!busy > openai
look    malformed 1      gemini!malformed > openai
look    ok        1      gemini
look    broken    1      gemini!broken > openai
look    out       1      gemini!out > openai
look    long      1      gemini!long > openai
look    format    1      gemini!format > gemini
forget  left      1      gemini left=1
forget  ok        1      gemini
g-head  busy      1      openai by=gemini!busy+local
g-head  malformed 1      openai by=gemini!malformed+local
g-head  ok        1      openai by=gemini
g-head  broken    1      openai by=gemini!broken+local
g-head  out       1      openai by=gemini!out+local
g-head  long      1      openai by=gemini!long+local
a-head  busy      1      openai by=azure-openai!busy+local
a-head  malformed 1      openai by=azure-openai!malformed+local
a-head  ok        1      openai by=azure-openai
a-head  broken    1      openai by=azure-openai!broken+local
a-head  out       1      openai by=azure-openai!out+local
a-head  long      1      openai by=azure-openai!long+local
o-head  busy      1      openai by=openai!busy+local
o-head  malformed 1      openai by=openai!malformed+local
o-head  ok        1      openai by=openai
o-head  broken    1      openai by=openai!broken+local
o-head  out       1      openai by=openai!out+local
o-head  long      1      openai by=openai!long+local
"""
"""By call and cell: how often the faulty call is made (when it can be reached at all), the attempts
in their order, each with its failure, what is left at the vendors, and the calls of language models
where there is another than the local one's."""
