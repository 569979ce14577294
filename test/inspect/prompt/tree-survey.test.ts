import { expect, test } from 'vitest'
import { type Surveyed, surveyTree } from '../../../src/inspect/prompt/tree-survey.ts'

for (const found of [5, null, undefined, 'app', {}])
  test(`a survey of ${JSON.stringify(found)}, which is no instance, is refused`, async () => {
    await expect(surveyTree(found as unknown as Surveyed)).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    })
  })
