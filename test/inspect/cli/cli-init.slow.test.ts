/** `keelson init` writes into a folder beside what is there. The services themselves: `cli-init.long.test.ts`. */
import { mkdirSync, readdirSync, readFileSync, realpathSync, symlinkSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { PassThrough } from 'node:stream'
import { describe, expect, test } from 'vitest'
import { commandHere } from '../../support/commands/command-here.ts'
import { codeIn, write } from '../../support/commands/command-project.ts'
import { tempFolder } from '../../support/temp-folder.ts'

/** A new service in the folder `shop`. */
const service = async () => {
  const dir = realpathSync(tempFolder())
  const said = await commandHere(['init', 'shop'], dir)
  const shop = join(dir, 'shop')
  return { ...said, shop }
}

describe('keelson init (needs the build)', () => {
  test('names what it wrote and what comes next', async () => {
    const { status, output, shop } = await service()

    expect([status, output.split('\n').slice(0, 4)]).toEqual([
      0,
      [
        `${shop} has a new service.`,
        'Next:',
        '  cd shop',
        expect.stringMatching(/^ {2}npm install PATH\/keelson-\S+\.tgz /),
      ],
    ])
    const { name, dependencies } = JSON.parse(readFileSync(join(shop, 'package.json'), 'utf8'))
    const { version } = JSON.parse(readFileSync('package.json', 'utf8'))
    expect([name, dependencies]).toEqual(['shop', { keelson: `^${version}` }])
    expect(readFileSync(join(shop, '.gitignore'), 'utf8')).toBe('node_modules/\ndata/\n')
  })

  test('fills the empty folder that a link names', async () => {
    const dir = realpathSync(tempFolder())
    mkdirSync(join(dir, 'real'))
    symlinkSync('real', join(dir, 'link'))

    expect((await commandHere(['init', 'link'], dir)).status).toBe(0)
    expect(readdirSync(join(dir, 'real'))).toContain('package.json')
  })

  test('adds what is missing beside a package, overwrites nothing, and says what it left', async () => {
    const dir = tempFolder()
    const before = { name: 'mine', scripts: { start: 'mine' }, dependencies: { keelson: 'file:x' } }
    write(dir, 'package.json', JSON.stringify(before))
    write(dir, 'stock.mjs', 'mine')
    write(dir, '.gitignore', 'node_modules\n*.log')

    const { status, output } = await commandHere(['init'], dir)

    expect([status, output.split('\n').slice(1, 4)]).toEqual([
      0,
      ['Left as they were: stock.mjs, the script start of package.json.', 'Next:', '  npm install'],
    ])
    expect(readFileSync(join(dir, 'stock.mjs'), 'utf8')).toBe('mine')
    expect(readFileSync(join(dir, '.gitignore'), 'utf8')).toBe('node_modules\n*.log\ndata/\n')
    const { name, scripts, dependencies } = JSON.parse(
      readFileSync(join(dir, 'package.json'), 'utf8'),
    )
    expect([name, scripts.start, scripts.service, dependencies]).toEqual([
      ...['mine', 'mine', 'keelson run'],
      before.dependencies,
    ])
  })

  test('may be called twice: the second time adds a Dockerfile and nothing else', async () => {
    const dir = tempFolder()
    await commandHere(['init'], dir)
    const first = readdirSync(dir).map((name) => [name, readFileSync(join(dir, name), 'utf8')])

    expect((await commandHere(['init', '--docker'], dir)).status).toBe(0)

    const added = ['.dockerignore', 'Dockerfile']
    expect(readdirSync(dir).sort()).toEqual([...first.map(([name]) => name), ...added].sort())
    for (const [name = '', text] of first) expect(readFileSync(join(dir, name), 'utf8')).toBe(text)
  })

  test('refuses a package.json that is no JSON, and writes nothing', async () => {
    const dir = tempFolder()
    write(dir, 'package.json', 'mine')

    const { status, errors } = await commandHere(['init'], dir)

    expect([status, codeIn(errors), readdirSync(dir)]).toEqual([
      1,
      'INVALID_ARGUMENT',
      ['package.json'],
    ])
  })

  test('takes back what it wrote when it fails', async () => {
    const dir = tempFolder()
    write(dir, 'notes.txt', 'mine')
    mkdirSync(join(dir, '.gitignore'))

    const { status, errors } = await commandHere(['init'], dir)

    expect([status, codeIn(errors), readdirSync(dir).sort()]).toEqual([
      1,
      'INVALID_ARGUMENT',
      ['.gitignore', 'notes.txt'],
    ])
  })

  test('asks on a terminal what the words leave open', async () => {
    const dir = tempFolder()
    const terminal = <T extends object>(stream: T) => Object.assign(stream, { isTTY: true })
    const input = terminal(new PassThrough())
    const output = terminal(new PassThrough())
    const answers = ['y\n', '\n']
    let asked = ''
    output.on('data', (text: Buffer) => {
      asked += text
      if (/ \[y\/N\] $/.test(String(text))) input.write(answers.shift() ?? '')
    })

    const { status } = await commandHere(['init', '--no-docker'], dir, { input, output })

    expect([status, asked.match(/[^\n]*\?/g)?.length, answers]).toEqual([0, 2, []])
    expect(readdirSync(dir)).toContain('stock.ts')
    expect(readdirSync(dir)).not.toContain('http.ts')
  })

  test.each([
    ['/proc/x', 'makeFolder /proc/x failed with ENOENT'],
    ['notes.txt/x', 'failed with ENOTDIR'],
  ])('names the folder that it cannot make, and why: %s', async (folder, why) => {
    const dir = tempFolder()
    write(dir, 'notes.txt', 'mine')

    const { status, errors } = await commandHere(['init', folder], dir)

    expect([status, codeIn(errors)]).toEqual([1, 'INVALID_ARGUMENT'])
    expect(errors).toContain(`${resolve(dir, folder)} cannot be written to: `)
    expect(errors).toContain(why)
  })
})
