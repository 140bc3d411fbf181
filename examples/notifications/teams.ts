import { type Notifier, webhook } from 'unleash-rollout-guard';

/** Microsoft Teams: a workflow "Post to a channel when a webhook request is received" shows each notification as an Adaptive Card. */
export function teams(workflowUrl: string): Notifier {
  return webhook({
    name: 'teams',
    url: workflowUrl,
    body: ({ severity, title, message, facts, environment, dashboardUrl, flagUrl }) => ({
      type: 'message',
      attachments: [
        {
          contentType: 'application/vnd.microsoft.card.adaptive',
          content: {
            $schema: 'http://adaptivecards.io/schemas/adaptive-card.json',
            type: 'AdaptiveCard',
            version: '1.4',
            body: [
              line({ text: cut(title, 200), weight: 'Bolder', size: 'Large', color: COLOURS[severity] }),
              line({ text: cut(message, 4_000) }),
              ...[{ name: 'Environment', value: environment }, ...facts]
                .slice(0, 20)
                .map(({ name, value }) =>
                  line({ text: `${cut(name, 100)}: `, weight: 'Bolder' }, { text: cut(value, 400) }),
                ),
            ],
            actions: [
              ...(dashboardUrl === undefined
                ? []
                : [{ type: 'Action.OpenUrl', title: 'Open the dashboard', url: dashboardUrl }]),
              { type: 'Action.OpenUrl', title: 'Open in Unleash', url: flagUrl },
            ],
          },
        },
      ],
    }),
  });
}

const COLOURS = { critical: 'Attention', warning: 'Warning', info: 'Default' } as const;

/** Text runs, unlike text blocks, show Markdown and `{{DATE(…)}}` as they are written: there is nothing to escape. */
const line = (...runs: readonly object[]) => ({
  type: 'RichTextBlock',
  inlines: runs.map((run) => ({ type: 'TextRun', ...run })),
});

const cut = (text: string, most: number) => [...text].slice(0, most).join('');
