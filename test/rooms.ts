/**
 * The rooms of `src`: the folders of each layer from the bottom up, and which of them each may import. A room may only name
 * rooms that stand before it, so that no arrow runs upwards and no circle is possible. `tidy.test.ts` holds the sources to
 * this table, and the table to the sources: an arrow that no import needs must go.
 */

/** Rooms of a layer in order, each with the rooms that its files import. */
export type Rooms = Readonly<Record<string, readonly string[]>>

/** The layers that have rooms. */
export const rooms: Readonly<Record<string, Rooms>> = {
  storage: {
    ports: [],
    groups: [],
    disk: ['ports'],
    frames: ['ports'],
    segments: ['ports', 'frames'],
    commitments: ['ports', 'frames'],
    values: ['ports'],
    blobs: ['ports', 'values'],
    commands: ['ports', 'values'],
    lmdb: ['ports', 'disk', 'values'],
    examination: ['ports', 'frames', 'segments', 'commitments', 'values', 'commands'],
    log: ['ports', 'frames', 'segments', 'commitments', 'examination'],
    rows: ['ports', 'values', 'commands'],
    snapshots: ['ports', 'values'],
    leases: ['ports'],
    members: ['ports'],
    'engine-log': ['ports', 'frames', 'segments'],
    'engine-files': ['ports', 'values', 'blobs', 'snapshots', 'engine-log'],
    cluster: ['ports', 'frames', 'values', 'commands', 'leases', 'engine-log', 'engine-files'],
    backups: [
      ...['ports', 'disk', 'frames', 'segments', 'commitments', 'values', 'blobs', 'commands'],
      ...['snapshots'],
    ],
    restore: [
      ...['ports', 'frames', 'segments', 'values', 'commands', 'examination', 'snapshots'],
      ...['backups'],
    ],
    projections: ['ports', 'values', 'rows'],
    health: [
      ...['ports', 'disk', 'segments', 'values', 'blobs', 'commands', 'lmdb', 'examination'],
      ...['rows', 'snapshots'],
    ],
    threads: [
      ...['ports', 'disk', 'blobs', 'lmdb', 'examination', 'log', 'snapshots'],
      ...['backups'],
    ],
    wal: ['ports', 'groups', 'disk', 'frames', 'segments', 'examination', 'log', 'threads'],
  },
  runtime: {
    queues: [],
    words: ['queues'],
    names: ['queues', 'words'],
    process: ['queues', 'words', 'names'],
    server: ['queues', 'words', 'names', 'process'],
    supervision: ['queues', 'words', 'names', 'process', 'server'],
    machine: ['queues', 'words', 'server'],
    'state-machine': ['words', 'process', 'server', 'machine'],
    task: ['queues', 'words', 'process', 'server', 'supervision'],
    threads: ['queues', 'words', 'process', 'server'],
    sharing: ['words', 'names', 'process', 'server', 'supervision'],
  },
  actors: {
    admission: [],
    core: ['admission'],
    links: [],
    overlay: [],
    log: ['core'],
    projection: ['core', 'overlay', 'log'],
    blobs: ['core'],
    writing: ['admission', 'core', 'log', 'projection', 'blobs'],
    snapshots: ['core', 'log', 'projection'],
    control: ['core', 'log', 'projection', 'blobs', 'writing', 'snapshots'],
    store: ['core', 'projection', 'blobs', 'writing'],
    'users-projections': ['core', 'projection', 'writing', 'store'],
    journal: ['core', 'writing', 'store'],
    routing: ['admission', 'core', 'links', 'writing', 'store', 'journal'],
    turns: ['core', 'writing', 'store', 'journal'],
    replication: ['core'],
    durable: ['core', 'turns'],
    entities: ['core', 'links', 'store', 'turns', 'durable'],
  },
  supervisors: {
    'users-tree': [],
    tree: ['users-tree'],
    app: ['users-tree', 'tree'],
    sharing: [],
    starting: ['users-tree', 'tree', 'app', 'sharing'],
  },
  inspect: {
    text: [],
    command: ['text'],
    recorder: [],
    answers: ['text', 'recorder'],
    views: ['text', 'answers'],
    prompt: ['text', 'command', 'recorder', 'answers', 'views'],
    operations: ['recorder', 'answers'],
    observe: ['text', 'recorder', 'answers'],
    attach: ['text', 'recorder', 'prompt', 'observe'],
    'page-server': ['observe', 'attach'],
    folder: ['text', 'command', 'attach'],
    cluster: ['text', 'command'],
    members: ['command'],
    cli: [
      ...['text', 'command', 'answers', 'views', 'prompt', 'attach', 'page-server'],
      ...['folder', 'cluster', 'members'],
    ],
  },
  flow: {
    runs: [],
    activation: ['runs'],
    looks: ['runs'],
    queue: ['runs', 'looks'],
    'run-entity': ['runs', 'activation', 'looks'],
    schedule: ['runs'],
    app: ['runs', 'looks', 'queue', 'run-entity', 'schedule'],
    rehearsal: ['runs', 'activation', 'queue', 'schedule', 'app'],
  },
  testing: {
    kit: [],
    simulated: ['kit'],
  },
}
