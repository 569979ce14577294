/**
 * The first ten minutes of an iex user, typed on a real terminal: at `keelson start` of an example,
 * and at `keelson attach` to it. Each key is sent, and the screen is read.
 */
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { program, startKeelson } from '../support/commands/keelson-command.ts'
import { noTmux, onTmux, type Terminal } from '../support/commands/tmux-terminal.ts'
import { lacks } from '../support/lacks.ts'
import { tempFolder } from '../support/temp-folder.ts'

const shop = join(import.meta.dirname, '../../examples/tickets/keelson.config.ts')
/** No bank and no provider answers: the orders wait. */
const variables = {
  PORT: '0',
  BANK_URL: 'http://127.0.0.1:1',
  MAIL_URL: 'http://127.0.0.1:1',
  // Node warns of `vm` at the first import, in the middle of the screen.
  NODE_NO_WARNINGS: '1',
}

/** Types a line on a clear screen, and resolves with the screen when it shows the answer. */
const asked = async (
  terminal: Terminal,
  line: string,
  answer: string | RegExp,
): Promise<string> => {
  terminal.press('C-l')
  await terminal.shows(/^keelson>$/)
  terminal.type(`${line}\r`)
  const screen = await terminal.shows(answer)
  await terminal.shows(/\nkeelson>$/)
  return screen
}

/** Everything that an iex user tries, at a prompt that has just appeared. */
const tenMinutes = async (terminal: Terminal): Promise<void> => {
  const ask = (line: string, answer: string | RegExp) => asked(terminal, line, answer)
  const typed = async (keys: string, shown: string | RegExp) => {
    terminal.type(keys)
    return terminal.shows(shown)
  }

  // The value before, and an import.
  await ask('20 + 1', /\n21$/m)
  await ask('_ * 2', /\n42$/m)
  await ask("import path, { sep } from 'node:path'", 'undefined')
  await ask("sep + path.basename('/x/here')", "'/here'")

  // Errors: of a name, of a syntax, of the instance.
  await ask('nobody', 'ReferenceError: nobody is not defined')
  await ask('1 +* 2', /SyntaxError: /)
  await ask("info('nobody')", /NO_PROCESS: there is no process nobody; ps\(\) lists all/)

  // Several lines, and Ctrl-C in the middle.
  terminal.press('C-l')
  await typed('[1, 2, 3].map((n) => {\r', /\.\.\.$/)
  await typed('return n * 7\r})\r', '[ 7, 14, 21 ]')
  await typed('const half = (\r', /\.\.\.$/)
  terminal.press('C-c')
  await terminal.shows(/\nkeelson>$/)
  await ask("'whole' + ' again'", "'whole again'")
  terminal.type("setImmediate(() => console.log('it ' + 'waits')); await new Promise(() => {})\r")
  await terminal.shows('it waits')
  terminal.press('C-c')
  await terminal.shows('left alone')

  // Tab after a value, a word and a call.
  for (const [keys, shown] of [
    ['app.ent\t', /^keelson> app\.entit$/m],
    ['app.store.getR\t', 'app.store.getRange'],
    ['path.basen\t', 'path.basename'],
    ['whe\t', 'whereis'],
    ['info(wal_w\t', 'info(wal_writer(0)'],
  ] as const) {
    terminal.press('C-l')
    await typed(keys, shown)
    terminal.press('C-u')
  }

  // Ctrl-R: a part of an earlier line, an older one, and giving up.
  terminal.press('C-l')
  terminal.press('C-r')
  await terminal.shows("(reverse-i-search)`'")
  await typed('basename', "`basename': sep + path.basename('/x/here')")
  terminal.press('Enter')
  await terminal.shows(/keelson> sep \+ path\.basename.*\n'\/here'\nkeelson>$/)
  await typed('half typed', 'half typed')
  terminal.press('C-r')
  await typed('no such line', "(failed reverse-i-search)`no such line'")
  terminal.press('C-g')
  await terminal.shows(/keelson> half typed$/)
  terminal.press('C-u')

  // The words about processes.
  await ask('help', 'A line is JavaScript; a promise is awaited.')
  await ask('tree()', /order +<\d+> +entity_kind +0 +0 +running, 0 live/)
  await ask("tree('app')", /^keelson> tree\('app'\)\n +pid .*\napp +<\d+> +supervisor/m)
  await ask('whereis(applier(0))', /^<\d+>$/m)
  await ask('info(applier(0))', /^traps exits/m)
  await ask('top()', 'since')
  await ask('h(app)', /^app\.entity\(kind\)/m)
  await ask('app', /^the instance default in .*: 1 shard, open$/m)
  await ask('state(http)', /\[Server\]/)

  // A machine: it is born by an event, looked at, and has a mailbox.
  const place = "{ type: 'place', show: 's', seats: ['1'] }"
  await ask("info('order/7')", /^process +at rest$/m)
  await ask(`event('order/7', ${place})`, /^order\/7 <\d+>: not begun → /m)
  await ask("machine('order/7')", /^\* +(?:holding|paying)\b/m)
  await ask("event('order/7', 'plaice')", /INVALID_ARGUMENT: events of order\/7 .* found "plaice"/)
  await ask("send('order/7', 'event', {})", 'event(p, event) sends it an event')
  await ask("suspend('order/7')", 'its messages wait until resume')
  await ask(`event('order/7', ${place})`, 'is suspended; the event waits')
  await ask("mailbox('order/7')", /^cast event +\{ type: 'place'/m)
  await ask("resume('order/7')", 'resumed order/7')
  await ask("entities('order')", /^7 +<\d+> +\{/m)
  await ask("entity('order', 7)", /^entity +order\/7$/m)
  await ask('wal()', /durable LSN +([\d,]+)\n +last LSN +\1\n/)

  // A process of the tree is killed, and is there again.
  await ask('kill(http)', /^killed http <\d+>$/m)
  await ask('tree(http)', /^http +<\d+> +server +0 +1 +running$/m)

  // The questions at night: what is in trouble, what has failed, what was logged.
  await ask('health()', /^restarts +1$/m)
  await ask('crashes()', 'no process has crashed since the start')
  await ask('log(5)', 'http was restarted: killed')

  // A clear screen.
  terminal.type('clear\r')
  expect(await terminal.shows(/^keelson>$/)).toBe('keelson>')
}

describe.skipIf(lacks(noTmux()))('the first ten minutes of an iex user (needs the build)', () => {
  test('at keelson start', { timeout: 180_000 }, async () => {
    const dir = tempFolder()
    const words = [process.execPath, program, 'start', shop, '--dir', 'data']
    const terminal = onTmux(words, dir, variables)
    await terminal.shows(/\nkeelson>$/)

    await tenMinutes(terminal)

    terminal.press('C-d')
    await terminal.ended
  })

  test('at keelson attach, which leaves the service running', { timeout: 180_000 }, async () => {
    const dir = tempFolder()
    const service = startKeelson(['run', shop, '--dir', 'data'], dir, variables, 'ignore')
    await service.says('ready: ')
    const terminal = onTmux([process.execPath, program, 'attach', '--dir', 'data'], dir)
    await terminal.shows(/\nkeelson>$/)

    await tenMinutes(terminal)

    terminal.press('C-d')
    await terminal.ended
    service.process.kill('SIGTERM')
    expect((await service.ended).status).toBe(0)
  })
})
