/** Whether the questions of a report can be asked at all, told when it is defined: by the engine's own reading of them. */
import type { TenantId } from '../base/brand.ts';
import { type Issue, MillraceError } from '../base/errors.ts';
import { badDefinition } from '../define/index.ts';
import { type ReportDefinition, relationsNamed } from '../define/model.ts';
import { readPinnedSql, type Visit } from '../questions/index.ts';
import { guestLimits, reportPrincipal, sqlParameters } from './answers.ts';

/** Fails with `bad-definition`, whose issues hold the mistake of each question. */
export async function checkQuestions(
  parts: { readonly visit: Visit; readonly timeoutSeconds: number },
  tenant: TenantId,
  { name, questions, parameters }: ReportDefinition,
): Promise<void> {
  const issues: Issue[] = [];
  const params = sqlParameters({ parameters, fromMs: 0, toMs: 1 });
  for (const question of questions) {
    if (!('sql' in question)) continue;
    const path = `questions.${question.name}.sql`;
    try {
      const asked = { query: question.sql, params, limits: guestLimits(parts) };
      const { relations } = await readPinnedSql(parts, reportPrincipal(tenant), asked);
      const named = new Set(relationsNamed(question.sql));
      // What it reads stands in the catalog under the names that its words tell, and is kept from being removed.
      for (const one of relations)
        if (!named.has(one))
          issues.push({ path, message: `write the name ${JSON.stringify(one)} right behind FROM or JOIN` });
    } catch (error) {
      if (!(error instanceof MillraceError) || error.code !== 'bad-question') throw error;
      issues.push({ path, message: error.message });
    }
  }
  if (issues.length > 0) throw badDefinition(`the report ${JSON.stringify(name)}`, issues);
}
