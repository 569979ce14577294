/** Modules named by path, as users have them: in a folder of their own, with the built package. */
import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { commandHere } from '../../support/commands/command-here.ts'
import { write } from '../../support/commands/command-project.ts'
import { tempFolder } from '../../support/temp-folder.ts'

/** A folder with the package `keelson` and these files. */
const project = (files: Readonly<Record<string, string>>): string => {
  const dir = tempFolder()
  mkdirSync(join(dir, 'node_modules'))
  symlinkSync(join(import.meta.dirname, '../../..'), join(dir, 'node_modules/keelson'))
  write(dir, 'package.json', '{ "type": "module" }')
  for (const [name, text] of Object.entries(files)) write(dir, name, text)
  return dir
}

/** Says in the file `evaluated` of the folder that a module is evaluated, with `what` about it. */
const says = (what: string): string =>
  `import { appendFileSync } from 'node:fs'
  appendFileSync(import.meta.dirname + '/evaluated', ${what} + '\\n')\n`

const evaluated = (dir: string): string[] =>
  readFileSync(join(dir, 'evaluated'), 'utf8').trim().split('\n').sort()

/** A worker that imports each of `modules`. */
const workerOn = (...modules: readonly string[]): string =>
  `${modules.map((module) => `import '${module}'\n`).join('')}
  export const server = { init: () => null, calls: {}, casts: {} }`

const runs = async (dir: string, config: string): Promise<number> =>
  (await commandHere(['start', config, '--dir', 'd'], dir)).status

for (const [what, ending, text, why] of [
  ['a module that is not there', 'ts', undefined, /a\.ts: there is no such file"\n/],
  ['a module that is not there', 'js', undefined, /a\.js: there is no such file"\n/],
  ['its import', 'ts', "import './gone.ts'", /a\.ts: Cannot find module '\S*\/gone\.ts'.*"\n/],
  // By jiti, or by a Node that loads TypeScript.
  [
    'a syntax error',
    'ts',
    '\nconst const',
    /a\.ts: (ParseError: [^\n]*a\.ts:2:6|Expected ident: node \S*a\.ts shows where)"\n/,
  ],
  ['a syntax error', 'js', '\nconst const', /'const': node \S*a\.js shows where"\n/],
] as const)
  test(`a start that fails says why in one line: ${what} in .${ending}`, async () => {
    const dir = project({
      [`keelson.config.${ending}`]: `import { supervisor, worker } from 'keelson'
        export default { app: supervisor('app', {}, [worker('a', './a.${ending}')]) }`,
      ...(text !== undefined && { [`a.${ending}`]: text }),
    })

    const { errors } = await commandHere(['start', `keelson.config.${ending}`, '--dir', 'd'], dir)

    expect(errors).toMatch(why)
    expect(errors).not.toContain('Require stack')
  })

test('the command that such an error names shows a place in an imported file', async () => {
  const dir = project({
    'keelson.config.js': "import './shared.js'\nexport default {}",
    'shared.js': '\nconst const',
  })

  const { errors } = await commandHere(['check'], dir)

  const [, file = ''] = /: node (\S+) shows where\n/.exec(errors) ?? []
  expect(spawnSync(process.execPath, [file], { encoding: 'utf8' }).stderr).toContain('shared.js:2')
})

for (const ending of ['js', 'ts'] as const)
  test(`a module that a configuration and its workers import is evaluated once: .${ending}`, async () => {
    const dir = project({
      [`shared.${ending}`]: says("'shared'"),
      [`a.${ending}`]: says("'a'") + workerOn(`./shared.${ending}`),
      [`b.${ending}`]: says("'b'") + workerOn(`./a.${ending}`, `./shared.${ending}`),
      [`keelson.config.${ending}`]: `import { supervisor, worker } from 'keelson'
        import './shared.${ending}'
        const workers = ['a', 'b'].map((id) => worker(id, './' + id + '.${ending}'))
        export default { app: supervisor('app', {}, workers) }`,
    })

    expect(await runs(dir, `keelson.config.${ending}`)).toBe(0)

    expect(evaluated(dir)).toEqual(['a', 'b', 'shared'])
  })

test.each(['js', 'ts'])(
  'so are those that JavaScript and TypeScript share, from a configuration in .%s',
  async (ending) => {
    const imports = "import './typed.ts'\nimport './plain.js'\n"
    const dir = project({
      'typed.ts': says("'typed' as string"),
      'plain.js': says("'plain'"),
      'a.ts': imports + workerOn('./b.js'),
      'b.js': says("'b'") + imports + workerOn(),
      'c.js': workerOn('./plain.js'),
      [`own.config.${ending}`]: `import { supervisor, worker } from 'keelson'
      ${imports}
      const workers = [worker('a', './a.ts'), worker('b', './b.js'), worker('c', './c.js')]
      export default { app: supervisor('app', {}, workers) }`,
    })

    expect(await runs(dir, `own.config.${ending}`)).toBe(0)

    expect(evaluated(dir)).toEqual(['b', 'plain', 'typed'])
  },
)

test.each(['js', 'ts'])(
  '`keelson` is the one that runs: its errors are instances of its class in .%s',
  async (ending) => {
    const own = `import { KeelsonError } from 'keelson'
    export const isOwn = (error) => error instanceof KeelsonError`
    const dir = project({
      [`shared.${ending}`]: own.replace(
        '(error)',
        ending === 'ts' ? '(error: unknown)' : '(error)',
      ),
      [`a.${ending}`]: `${says("'worker'")}
      import { isOwn } from './shared.${ending}'
      export const server = {
        init: (_${ending === 'ts' ? ': unknown, context: any' : ', context'}) => {
          const error = (() => { try { context.app.store.get(1) } catch (thrown) { return thrown } })()
          appendFileSync(import.meta.dirname + '/evaluated', String(isOwn(error)) + '\\n')
          return null
        },
        calls: {}, casts: {},
      }`,
      [`keelson.config.${ending}`]: `import { supervisor, worker } from 'keelson'
      export default { app: supervisor('app', {}, [worker('a', './a.${ending}')]) }`,
    })

    expect(await runs(dir, `keelson.config.${ending}`)).toBe(0)

    expect(evaluated(dir)).toEqual(['true', 'worker'])
  },
)
