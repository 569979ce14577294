/** `keelson init` writes a service whose test passes, whose types hold, and which starts. */
import { execFileSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, realpathSync, symlinkSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, expect, test } from 'vitest'
import { commandHere } from '../../support/commands/command-here.ts'
import { codeIn, write } from '../../support/commands/command-project.ts'
import { tempFolder } from '../../support/temp-folder.ts'

/** A new service in the folder `shop`, with its dependencies. */
const service = async () => {
  const dir = realpathSync(tempFolder())
  const said = await commandHere(['init', 'shop'], dir)
  const shop = join(dir, 'shop')
  const modules = join(shop, 'node_modules')
  mkdirSync(modules)
  for (const [name, path] of [
    ['keelson', '.'],
    ['@types', 'node_modules/@types'],
  ] as const)
    symlinkSync(join(process.cwd(), path), join(modules, name))
  return { ...said, shop }
}

describe('keelson init (needs the build)', () => {
  test('names what it wrote and what comes next', async () => {
    const { status, output, shop } = await service()

    expect([status, output.split('\n').slice(0, 3)]).toEqual([
      0,
      [
        `${shop} has a new service. Next:`,
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

  test('writes tests that pass', async () => {
    const { shop } = await service()

    const report = execFileSync(process.execPath, ['--test'], { cwd: shop, encoding: 'utf8' })

    expect(report).toMatch(/^. pass 2\n. fail 0$/m)
  })

  test('writes code whose types hold', async () => {
    const { shop } = await service()
    const compilerOptions = {
      ...{ allowJs: true, checkJs: true, noEmit: true, strict: true },
      ...{ module: 'nodenext', target: 'es2022', types: ['node'] },
    }
    write(shop, 'tsconfig.json', JSON.stringify({ compilerOptions, include: ['*.mjs'] }))

    const check = () => execFileSync('node_modules/.bin/tsc', ['-p', shop], { encoding: 'utf8' })

    expect(check).not.toThrow()
  })

  test('writes a tree that checks and starts', async () => {
    const { shop } = await service()
    const lines = [
      "call(app.entity('stock').ref('tea'), 'add', 5)",
      "call(app.entity('stock').ref('tea'), 'take', 2)",
      "app.entity('stock').state('tea')",
    ]

    const checked = await commandHere(['check'], shop)
    const started = await commandHere(['start'], shop, { input: lines.join('\n') })

    expect([checked.status, checked.output]).toEqual([0, expect.stringContaining('$flow-order')])
    expect([started.status, started.output]).toEqual([0, '5\ntrue\n3\n'])
  })

  test('refuses a folder that is not empty, and writes nothing', async () => {
    const dir = tempFolder()
    write(dir, 'notes.txt', 'mine')

    const { status, errors } = await commandHere(['init'], dir)

    expect([status, codeIn(errors), readdirSync(dir)]).toEqual([
      1,
      'INVALID_ARGUMENT',
      ['notes.txt'],
    ])
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
