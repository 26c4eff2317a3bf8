import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("transcoding", "0003_seconds_left"),
    ]

    operations = [
        migrations.CreateModel(
            name="SeenNonce",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("nonce", models.CharField(max_length=64, unique=True)),
                ("at", models.DateTimeField(db_index=True, default=django.utils.timezone.now)),
            ],
        ),
        migrations.AlterField(
            model_name="transcodejob",
            name="runner",
            field=models.CharField(
                choices=[("local", "Worker"), ("lambda", "Lambda")], default="local", max_length=10
            ),
        ),
        migrations.AlterField(
            model_name="transcodeattempt",
            name="runner",
            field=models.CharField(choices=[("local", "Worker"), ("lambda", "Lambda")], max_length=10),
        ),
    ]
