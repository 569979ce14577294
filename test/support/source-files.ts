/** The project's own sources as the tidy test sees them: path, text, and what each imports. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize, relative, sep } from 'node:path'

/** One source file. `imports` are specifiers as written; `targets` the project's files among them. */
export type SourceFile = {
  readonly path: string
  readonly text: string
  readonly lines: readonly string[]
  readonly imports: readonly string[]
  readonly targets: readonly string[]
}

const importPattern =
  /(?:^|\n)\s*(?:import|export)\s[^'"`;]*?from\s+['"]([^'"]+)['"]|(?:^|\n)\s*import\s+['"]([^'"]+)['"]|import\(\s*['"]([^'"]+)['"]\s*\)/g

/** Every TypeScript file below `dir`, with paths as `src/runtime/index.ts`. */
export const sourceFiles = (dir: string): SourceFile[] =>
  existsSync(dir)
    ? readdirSync(dir, { recursive: true, encoding: 'utf8' })
        .map((name) => join(dir, name).split(sep).join('/'))
        .filter((path) => /\.tsx?$/.test(path) && !path.includes('/planted/'))
        .sort()
        .map(sourceFile)
    : []

const sourceFile = (path: string): SourceFile => {
  const text = readFileSync(path, 'utf8')
  const imports = [...text.matchAll(importPattern)].map(
    (match) => match[1] ?? match[2] ?? match[3] ?? '',
  )
  const targets = imports
    .filter((specifier) => specifier.startsWith('.'))
    .map((specifier) =>
      relative('.', normalize(join(dirname(path), specifier)))
        .split(sep)
        .join('/'),
    )
  return { path, text, lines: text.split('\n'), imports, targets }
}

/** The text with comments and the content of string literals blanked out, so that rules look at code alone. */
export const codeOf = (file: SourceFile): string =>
  file.text
    .replace(/\/\*[\s\S]*?\*\//g, (comment) => comment.replace(/[^\n]/g, ' '))
    .replace(/(^|[^:'"`\\])\/\/[^\n]*/g, '$1')
    .replace(/'(?:[^'\\\n]|\\.)*'/g, "''")
