import { type Notifier, webhook } from 'unleash-rollout-guard';

/** PagerDuty, by its Events API v2: an alert for what is critical, one for each decision. In Europe: `https://events.eu.pagerduty.com/v2/enqueue` */
export function pagerDuty(routingKey: string, url = 'https://events.pagerduty.com/v2/enqueue'): Notifier {
  return webhook({
    name: 'pagerduty',
    url,
    body: (notification) => {
      const { id, decisionId, type, severity, title, message, facts, time } = notification;
      const { flagKey, project, environment, flagUrl, dashboardUrl } = notification;
      if (severity !== 'critical') return undefined;
      return {
        routing_key: routingKey,
        event_action: 'trigger',
        // What follows a decision, such as that an operator must act, belongs to its alert.
        dedup_key: cut(decisionId ?? id, 255),
        payload: {
          summary: cut(`${title}: ${message}`, 1_024),
          source: `${project}/${environment}`,
          severity,
          timestamp: time,
          component: flagKey,
          class: type,
          custom_details: Object.fromEntries(facts.map(({ name, value }) => [name, value])),
        },
        links: [
          ...(dashboardUrl === undefined ? [] : [{ href: dashboardUrl, text: 'Open the dashboard' }]),
          { href: flagUrl, text: 'Open in Unleash' },
        ],
        client: 'unleash-rollout-guard',
        client_url: dashboardUrl ?? flagUrl,
      };
    },
  });
}

const cut = (text: string, most: number) => [...text].slice(0, most).join('');
