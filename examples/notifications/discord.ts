import { type Notifier, webhook } from 'unleash-rollout-guard';

/** Discord: a webhook of a channel (Edit Channel, Integrations) shows each notification as an embed. */
export function discord(webhookUrl: string): Notifier {
  return webhook({
    name: 'discord',
    url: webhookUrl,
    body: ({ severity, title, message, facts, environment, dashboardUrl, flagUrl, time }) => ({
      // Nobody is mentioned, whatever a name or a message contains.
      allowed_mentions: { parse: [] },
      embeds: [
        {
          title: plain(title, 120),
          url: dashboardUrl ?? flagUrl,
          description: `${plain(message, 1_200)}\n[Open in Unleash](${flagUrl.replaceAll(')', '%29')})`,
          color: COLOURS[severity],
          timestamp: time,
          fields: [{ name: 'Environment', value: environment }, ...facts]
            .slice(0, 6)
            .map(({ name, value }) => ({ name: plain(name, 60), value: plain(value, 180), inline: true })),
        },
      ],
    }),
  });
}

const COLOURS = { critical: 0xd9_2d_20, warning: 0xf7_90_09, info: 0x15_70_ef } as const;

/** Without Markdown. An embed has room for 6,000 characters in all, and an escaped text may be twice as long. */
const plain = (text: string, most: number) =>
  [...text]
    .slice(0, most)
    .join('')
    .replace(/[\\*_~`|>#<[\]()@:-]/g, '\\$&') || '–';
