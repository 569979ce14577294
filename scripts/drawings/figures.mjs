/** The drawings of `docs/drawings`, each by its name. All measures are in pixels. */

import { arrow, box, drawing, frame, words } from './pen.mjs'

const put = () =>
  drawing(
    { width: 860, height: 400, title: 'The way of a put, from its caller to the disk and back' },
    [
      frame(180, 16, 430, 368, 'the main thread: processes'),
      frame(640, 16, 204, 368, 'threads'),
      box(20, 60, 120, 50, 'outside', ['store.put', 'a caller']),
      box(200, 60, 90, 50, 'memory', ['gate', 'bounds']),
      box(320, 60, 110, 50, 'memory', ['group', 'writes join']),
      box(460, 60, 130, 50, 'memory', ['wal_writer', 'group by group']),
      box(660, 55, 164, 60, 'durable', ['the log', 'write, fdatasync']),
      words(742, 136, 'the commit point', { anchor: 'middle', look: 'durable' }),
      arrow([
        [140, 85],
        [200, 85],
      ]),
      arrow([
        [290, 85],
        [320, 85],
      ]),
      arrow([
        [430, 85],
        [460, 85],
      ]),
      arrow([
        [590, 85],
        [660, 85],
      ]),
      box(460, 175, 130, 50, 'memory', ['applier', 'in order of LSN']),
      arrow([
        [742, 144],
        [742, 200],
        [590, 200],
      ]),
      box(20, 175, 120, 50, 'outside', ['answer', 'it is durable']),
      arrow([
        [460, 200],
        [140, 200],
      ]),
      box(310, 290, 120, 50, 'memory', ['overlay', 'newest rows']),
      box(460, 290, 130, 50, 'memory', ['lmdb_writer', 'later']),
      box(660, 285, 164, 60, 'durable', ['LMDB', 'rows and position']),
      arrow([
        [500, 225],
        [500, 258],
        [370, 258],
        [370, 290],
      ]),
      arrow([
        [540, 225],
        [540, 290],
      ]),
      arrow([
        [590, 315],
        [660, 315],
      ]),
      box(20, 290, 120, 50, 'outside', ['store.get', 'synchronous']),
      arrow([
        [310, 315],
        [140, 315],
      ]),
      arrow([
        [742, 345],
        [742, 366],
        [80, 366],
        [80, 340],
      ]),
    ],
  )

const tree = () => {
  const row = (index) => 24 + index * 42
  const node = (column, index, kind, ...lines) =>
    box([20, 180, 350, 540][column], row(index), [120, 120, 140, 300][column], 32, kind, lines)
  const branch = (column, from, to) => {
    const left = [140, 300, 490][column]
    const [start, end] = [row(from) + 16, row(to) + 16]
    const middle = left + [20, 25, 25][column]
    return arrow(
      [
        [left, start],
        [middle, start],
        [middle, end],
        [[180, 350, 540][column], end],
      ],
      'bare',
    )
  }
  const leaf = (index, name, job) => [
    ...box(540, row(index), 130, 32, 'memory', [name]),
    words(682, row(index) + 21, job, { look: 'quiet' }),
  ]
  return drawing(
    { width: 860, height: 570, title: 'The supervision tree of an instance with one shard' },
    [
      node(0, 0, 'outside', 'keelson'),
      node(1, 0, 'outside', 'shards'),
      node(1, 8, 'outside', 'registry'),
      node(1, 9, 'outside', 'services'),
      branch(0, 0, 0),
      branch(0, 0, 8),
      branch(0, 0, 9),
      node(2, 0, 'outside', 'shard(0)'),
      branch(1, 0, 0),
      leaf(0, 'blob_store(0)', 'large values'),
      leaf(1, 'wal_writer(0)', 'write, fdatasync'),
      leaf(2, 'applier(0)', 'answers callers'),
      leaf(3, 'batcher(0)', 'windows'),
      leaf(4, 'journal(0)', 'subscriptions'),
      leaf(5, 'lmdb_writer(0)', 'the projection'),
      leaf(6, 'alarms(0)', 'wakes actors'),
      leaf(7, 'snapshotter(0)', 'frees the log'),
      ...[0, 1, 2, 3, 4].map((index) => branch(2, 0, index)),
      node(2, 5, 'outside', 'followers(0)'),
      arrow(
        [
          [325, row(0) + 16],
          [325, row(5) + 16],
          [350, row(5) + 16],
        ],
        'bare',
      ),
      ...[5, 6, 7].map((index) => branch(2, 5, index)),
      node(2, 9, 'memory', 'control'),
      node(2, 10, 'memory', 'attach'),
      node(2, 11, 'outside', 'app'),
      ...[9, 10, 11].map((index) => branch(1, 9, index)),
      leaf(11, 'your tree', 'actors, flows, http'),
      branch(2, 11, 11),
      words(540, row(9) + 21, 'suspend, flush, resume', { look: 'quiet' }),
      words(540, row(10) + 21, 'the prompt', { look: 'quiet' }),
      words(
        20,
        556,
        'Grey: a supervisor. Blue: a worker. A worker that crashes is restarted by the supervisor on its left.',
        { look: 'quiet' },
      ),
    ],
  )
}

const turn = () =>
  drawing(
    {
      width: 860,
      height: 390,
      title: 'A turn of a durable actor: nothing leaves before its unit is durable',
    },
    [
      frame(180, 16, 664, 150, ''),
      words(192, 158, 'the process of cart/7, in memory', { look: 'quiet' }),
      box(20, 60, 120, 60, 'outside', ['a call', 'add, tea']),
      arrow([
        [140, 90],
        [204, 90],
      ]),
      box(204, 50, 150, 80, 'memory', ['the handler', 'one message', 'at a time']),
      arrow([
        [354, 90],
        [420, 90],
      ]),
      box(420, 56, 190, 68, 'memory', ['the new state', 'steps, alarms, writes']),
      arrow([
        [279, 50],
        [279, 32],
        [730, 32],
        [730, 56],
      ]),
      box(640, 56, 180, 68, 'memory', ['held', 'answer, messages']),
      arrow([
        [515, 124],
        [515, 206],
      ]),
      box(420, 206, 190, 56, 'durable', ['one unit in the log', 'fdatasync']),
      arrow([
        [610, 234],
        [640, 234],
      ]),
      box(640, 206, 180, 56, 'memory', ['applied']),
      arrow(
        [
          [730, 206],
          [730, 124],
        ],
        'held',
      ),
      words(738, 190, 'lets go', { look: 'durable' }),
      arrow([
        [820, 90],
        [834, 90],
        [834, 304],
        [390, 304],
      ]),
      box(204, 280, 186, 48, 'outside', ['messages leave', 'steps begin']),
      arrow([
        [204, 304],
        [80, 304],
        [80, 120],
      ]),
      words(88, 220, 'answer', { look: 'quiet' }),
      words(20, 356, 'A crash before the sync: no turn, no answer, no message.', { look: 'crash' }),
      words(
        20,
        378,
        'A crash after the sync: the state is there, its steps run at the next start, a held answer is lost.',
        {
          look: 'quiet',
        },
      ),
    ],
  )

const run = () =>
  drawing(
    { width: 860, height: 370, title: 'A run that is killed while it packs, and its replay' },
    [
      frame(20, 16, 400, 120, 'the first process'),
      box(40, 56, 110, 56, 'memory', ['charge', 'runs']),
      box(190, 56, 150, 56, 'memory', ['pack', 'has begun']),
      arrow([
        [150, 84],
        [190, 84],
      ]),
      arrow(
        [
          [380, 24],
          [380, 128],
        ],
        'cut bare',
      ),
      words(372, 154, 'kill -9', { anchor: 'end', look: 'crash' }),
      box(20, 186, 824, 56, 'durable', [
        'the log: the record of the run',
        'charge: its outcome · pack: begun, with its key · pack: its outcome · ship: its outcome',
      ]),
      arrow([
        [95, 112],
        [95, 186],
      ]),
      arrow([
        [235, 112],
        [235, 186],
      ]),
      frame(340, 266, 504, 92, ''),
      words(352, 288, 'the second process', { look: 'quiet' }),
      box(360, 298, 130, 48, 'durable', ['charge', 'from the record']),
      box(530, 298, 130, 48, 'memory', ['pack', 'again, same key']),
      box(700, 298, 124, 48, 'memory', ['ship', 'runs']),
      arrow([
        [490, 322],
        [530, 322],
      ]),
      arrow([
        [660, 322],
        [700, 322],
      ]),
      arrow([
        [320, 242],
        [320, 322],
        [360, 322],
      ]),
      arrow([
        [595, 298],
        [595, 242],
      ]),
      arrow([
        [762, 298],
        [762, 242],
      ]),
      words(20, 300, 'A step whose outcome is recorded', { look: 'quiet' }),
      words(20, 320, 'is not run again. A step that was', { look: 'quiet' }),
      words(20, 340, 'cut off is, with the same key.', { look: 'quiet' }),
    ],
  )

const job = () =>
  drawing({ width: 860, height: 330, title: 'The states of a job' }, [
    box(20, 60, 110, 50, 'outside', ['add']),
    box(230, 60, 130, 50, 'durable', ['waiting']),
    box(470, 60, 130, 50, 'durable', ['running', 'a try']),
    box(720, 60, 120, 50, 'durable', ['done']),
    box(230, 200, 130, 50, 'durable', ['delayed']),
    box(720, 200, 120, 50, 'crash', ['dead']),
    arrow([
      [130, 85],
      [230, 85],
    ]),
    arrow([
      [75, 110],
      [75, 225],
      [230, 225],
    ]),
    words(86, 245, 'with delay', { look: 'quiet' }),
    arrow([
      [295, 200],
      [295, 110],
    ]),
    words(304, 160, 'it is due', { look: 'quiet' }),
    arrow([
      [360, 85],
      [470, 85],
    ]),
    words(415, 76, 'a place', { anchor: 'middle', look: 'quiet' }),
    arrow([
      [600, 85],
      [720, 85],
    ]),
    words(660, 76, 'returned', { anchor: 'middle', look: 'quiet' }),
    arrow([
      [510, 110],
      [510, 225],
      [360, 225],
    ]),
    words(500, 216, 'a try failed', { anchor: 'end', look: 'quiet' }),
    arrow([
      [560, 110],
      [560, 225],
      [720, 225],
    ]),
    words(640, 216, 'the last try failed', { anchor: 'middle', look: 'quiet' }),
    arrow([
      [780, 250],
      [780, 290],
      [190, 290],
      [190, 100],
      [230, 100],
    ]),
    words(640, 282, 'retry', { anchor: 'middle', look: 'quiet' }),
    arrow(
      [
        [520, 60],
        [520, 30],
        [560, 30],
        [560, 60],
      ],
      'cut',
    ),
    words(570, 36, 'cut off by a crash: it starts next', { look: 'crash' }),
    words(
      20,
      318,
      'remove() takes a job out of any state. A job that is done leaves a row only with keep: { results }.',
      { look: 'quiet' },
    ),
  ])

const members = () => {
  const shard = (x, number) => box(x, 150, 90, 32, 'memory', [`shard ${number}`])
  return drawing(
    {
      width: 860,
      height: 380,
      title: 'Three members on one folder; one is killed, and its shards move',
    },
    [
      frame(20, 16, 260, 190, 'member a'),
      frame(300, 16, 260, 190, 'member b'),
      frame(580, 16, 264, 190, 'member c'),
      [shard(40, 0), shard(150, 1), shard(320, 2), shard(430, 3), shard(600, 4), shard(710, 5)],
      box(40, 52, 200, 50, 'outside', ['http', 'calls cart/7']),
      arrow([
        [240, 77],
        [320, 77],
      ]),
      words(280, 68, 'a link', { anchor: 'middle', look: 'quiet' }),
      box(320, 52, 200, 50, 'memory', ['cart/7', 'at the owner of shard 2']),
      arrow(
        [
          [365, 102],
          [365, 150],
        ],
        'bare',
      ),
      arrow(
        [
          [592, 40],
          [832, 198],
        ],
        'cut bare',
      ),
      arrow(
        [
          [592, 198],
          [832, 40],
        ],
        'cut bare',
      ),
      words(712, 90, 'kill -9', { anchor: 'middle', look: 'crash' }),
      arrow(
        [
          [645, 182],
          [645, 224],
          [475, 224],
          [475, 186],
        ],
        'held',
      ),
      arrow(
        [
          [755, 182],
          [755, 238],
          [195, 238],
          [195, 186],
        ],
        'held',
      ),
      words(
        20,
        260,
        'When c is killed its locks are free: b opens shard 4 and a opens shard 5, from their logs.',
        { look: 'quiet' },
      ),
      frame(20, 276, 824, 92, 'one folder on a local disk'),
      [0, 1, 2, 3, 4, 5].flatMap((index) =>
        box(36 + index * 134, 308, 120, 46, 'durable', [`log ${index}`, 'one owner']),
      ),
    ],
  )
}

const backup = () =>
  drawing({ width: 860, height: 300, title: 'A backup, its restore, and when the copy acts' }, [
    box(20, 40, 190, 60, 'memory', ['a running instance', 'it keeps serving']),
    box(300, 40, 190, 60, 'durable', ['a backup', 'each shard at an LSN']),
    box(580, 40, 260, 60, 'durable', ['a new folder', 'a copy that waits']),
    arrow([
      [210, 70],
      [300, 70],
    ]),
    words(255, 60, 'backup', { anchor: 'middle', look: 'quiet' }),
    arrow([
      [490, 70],
      [580, 70],
    ]),
    words(535, 60, 'restore', { anchor: 'middle', look: 'quiet' }),
    box(300, 180, 190, 60, 'memory', ['keelson open', 'look, and change nothing']),
    box(580, 180, 260, 60, 'memory', ['start with acts: true', 'runs, steps and alarms continue']),
    arrow([
      [640, 100],
      [640, 140],
      [395, 140],
      [395, 180],
    ]),
    arrow([
      [740, 100],
      [740, 180],
    ]),
    words(20, 150, 'Runs in the copy would charge, mail', { look: 'quiet' }),
    words(20, 172, 'and ship a second time, while the', { look: 'quiet' }),
    words(20, 194, 'first instance still does so.', { look: 'quiet' }),
    words(20, 216, 'So a copy refuses a plain start.', { look: 'quiet' }),
    words(
      20,
      276,
      'End the first instance before the copy acts. Work done after the backup may be done again.',
      { look: 'crash' },
    ),
  ])

/** Each drawing by the name of its file in `docs/drawings`. */
export const figures = { put, tree, turn, run, job, members, backup }
